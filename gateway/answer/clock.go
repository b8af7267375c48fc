package answer

import (
	"sync/atomic"
	"time"
)

// clock writes timestamps. The text of a second is kept until the next one.
type clock struct{ current atomic.Pointer[second] }

type second struct {
	unix int64
	text []byte // up to the point before the milliseconds
}

// append appends the timestamp of now.
func (c *clock) append(b []byte, now time.Time) []byte {
	unix := now.Unix()
	s := c.current.Load()
	if s == nil || s.unix != unix {
		text := appendTimestamp(nil, now)
		s = &second{unix, text[:len(text)-len("000Z")]}
		c.current.Store(s)
	}
	ms := now.Nanosecond() / int(time.Millisecond)
	return append(append(b, s.text...), '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}
