package accesslog

import (
	"encoding"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// Statuses are the statuses of an entry of log.access_status, such as 404 or 5xx.
type Statuses struct{ First, Last int }

// UnmarshalText reads a status or a class of them.
func (s *Statuses) UnmarshalText(text []byte) error {
	switch {
	case regexp.MustCompile(`^[1-5]xx$`).Match(text):
		s.First = int(text[0]-'0') * 100
		s.Last = s.First + 99
	case regexp.MustCompile(`^[1-5]\d\d$`).Match(text):
		s.First, _ = strconv.Atoi(string(text))
		s.Last = s.First
	default:
		return fmt.Errorf("%.32q is neither a status such as 404 nor a class of them such as 5xx", text)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Statuses) MarshalText() ([]byte, error) {
	if s.First == s.Last {
		return strconv.AppendInt(nil, int64(s.First), 10), nil
	}
	return fmt.Appendf(nil, "%dxx", s.First/100), nil
}

var (
	_ encoding.TextUnmarshaler = (*Statuses)(nil)
	_ encoding.TextMarshaler   = Statuses{}
)

// Filter is which requests have a line.
type Filter struct {
	Statuses    []Statuses    // these have one
	MinDuration time.Duration // those that take as long have one; 0: that is no reason
	Sample      float64       // the part of them that does, 0 to 1, but for failures
}

// Passes reports whether a request has a line. Without Statuses and MinDuration all do, and those of 500 and above always
// do. Sampling leaves out neither these nor what the gateway has refused.
func (f *Filter) Passes(status int, took time.Duration, refused bool) bool {
	failed := status >= http.StatusInternalServerError
	if !failed && !f.isOfInterest(status, took) {
		return false
	}
	return failed || refused || f.Sample >= 1 || rand.Float64() < f.Sample
}

func (f *Filter) isOfInterest(status int, took time.Duration) bool {
	if f.MinDuration > 0 && took >= f.MinDuration {
		return true
	}
	for _, s := range f.Statuses {
		if s.First <= status && status <= s.Last {
			return true
		}
	}
	return f.MinDuration == 0 && len(f.Statuses) == 0
}
