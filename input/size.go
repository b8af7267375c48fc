package input

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 512, 64KiB, 4MiB or 2GiB.
type Size int64

// UnmarshalText reads a Size.
func (s *Size) UnmarshalText(text []byte) error {
	digits, shift := string(text), 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if cut, found := strings.CutSuffix(digits, unit); found {
			digits, shift = strings.TrimSpace(cut), bits
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<40>>shift {
		return fmt.Errorf("%q is not a size such as 64KiB or 4MiB", text)
	}
	*s = Size(n << shift)
	return nil
}

// String writes a Size as UnmarshalText reads it.
func (s Size) String() string {
	for shift, unit := range []string{30: "GiB", 20: "MiB", 10: "KiB"} {
		if unit != "" && s >= 1<<shift && s%(1<<shift) == 0 && s>>shift < 1024 {
			return strconv.FormatInt(int64(s>>shift), 10) + unit
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
