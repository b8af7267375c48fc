package input

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 512, 64KiB, 4MiB or 2GiB.
type Size int64

// largest is the largest Size: 1024 GiB.
const largest = 1 << 40

// UnmarshalText reads a Size.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := parseSize(string(text))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%q is more than 1024GiB", text)
	case err != nil:
		return fmt.Errorf("%q is not a size such as 64KiB or 4MiB%s", text, DidYouMean(meantSize(string(text))))
	}
	*s = n
	return nil
}

// parseSize reads a Size; the error is that of its number, and strconv.ErrRange where it is too large.
func parseSize(text string) (Size, error) {
	digits, shift := text, 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if cut, found := strings.CutSuffix(text, unit); found {
			digits, shift = strings.TrimSpace(cut), bits
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err == nil && n > largest>>shift {
		err = strconv.ErrRange
	}
	return Size(n) << shift, err
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
