package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen, written as 10/s, 60/m or 1000/h.
type Rate struct {
	Count int
	Per   time.Duration
}

// UnmarshalText reads a Rate.
func (r *Rate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1_000_000_000 || per == 0 {
		return fmt.Errorf("%q is not a rate such as 10/s, 60/m or 1000/h", text)
	}
	*r = Rate{Count: n, Per: per}
	return nil
}

// String writes a Rate as UnmarshalText reads it.
func (r Rate) String() string {
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.Per]
	return strconv.Itoa(r.Count) + "/" + unit
}
