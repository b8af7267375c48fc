package gateway

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// The fields that tell a client how much of a limit is left (draft-ietf-httpapi-ratelimit-headers-10, §2 and §3). A token
// bucket is said as what it is: q requests when full, w seconds from empty to full, r requests now, t seconds until full.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// announce adds a line for each limit that counted the request. Both fields are lists, so those of a service stay
// beside them.
func announce(resp *fasthttp.Response, verdicts []verdict) {
	for _, v := range verdicts {
		resp.Header.Add(headerRateLimitPolicy, v.policy())
		resp.Header.Add(headerRateLimit, v.state())
	}
}

func (v verdict) policy() string {
	l := v.limit
	return rateLimitItem(l.name, 'q', int64(l.burst/l.interval), 'w', max(1, wholeSeconds(l.burst)))
}

func (v verdict) state() string {
	left := int64(0)
	if v.passed {
		left = int64((v.limit.burst - v.ahead) / v.limit.interval)
	}
	return rateLimitItem(v.limit.name, 'r', left, 't', wholeSeconds(v.ahead))
}

// rateLimitItem is an item of a list (RFC 9651 §3.1): a string with two parameters.
func rateLimitItem(name string, first byte, a int64, second byte, b int64) string {
	out := append(make([]byte, 0, 48), '"')
	out = append(append(out, name...), '"', ';', first, '=')
	out = append(strconv.AppendInt(out, a, 10), ';', second, '=')
	return string(strconv.AppendInt(out, b, 10))
}

// wholeSeconds rounds up: who comes back after so long is not too early.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
