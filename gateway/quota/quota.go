// Package quota counts in the store what each user does in a day, so that all gateways on a store, and a process after
// another, count together. A request is counted before it is served, in a transaction that survives a crash: whatever is
// killed, nobody gets more than the quota.
package quota

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"wxgate/input"
)

// Quota is how often a user may do something in a day. Routes that have a quota of one name share it.
type Quota struct {
	Name   string
	PerDay Daily
	Open   bool // requests are served without being counted while the store does not answer
}

// String is the quota as an operator reads it.
func (q Quota) String() string {
	text := fmt.Sprintf("%v per user (quota %s)", q.PerDay, q.Name)
	if q.Open {
		text += ", open"
	}
	return text
}

// Daily is how often something may happen in a day, written as 20/day. 0 is no quota.
type Daily int64

// most is the largest Daily, and the most that can be granted in a day.
const most = 1_000_000

const perDay = "/day"

// UnmarshalText reads a Daily.
func (d *Daily) UnmarshalText(text []byte) error {
	count, daily := strings.CutSuffix(string(text), perDay)
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || !daily || n < 1 || n > most {
		return fmt.Errorf("%q is not a quota such as 20/day, of at most %d%s", text, most, input.DidYouMean(meantDaily(string(text))))
	}
	*d = Daily(n)
	return nil
}

// meantDaily is a quota that somebody wrote in other words; empty if that cannot be told.
func meantDaily(text string) string {
	count, unit := input.MeantRate(text)
	if unit != "d" || count+perDay == text {
		return ""
	}
	return count + perDay
}

// String writes a Daily as UnmarshalText reads it.
func (d Daily) String() string { return strconv.FormatInt(int64(d), 10) + perDay }

// MaxName is the longest name of a quota, in bytes.
const MaxName = 64

// day is a day of China Standard Time. It is written as 2026-11-30.
type day struct{ start time.Time }

// dayOf is the day that a time is in. China has had no other offset since 1991, and a container need not know of zones.
func dayOf(at time.Time) day {
	at = at.In(time.FixedZone("Asia/Shanghai", 8*60*60))
	return day{time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())}
}

func (d day) end() time.Time { return d.start.Add(24 * time.Hour) }

func (d day) String() string { return d.start.Format(time.DateOnly) }

// Count is what a user has of a quota on one day.
type Count struct {
	Quota
	Used    int64
	Granted int64 // beside PerDay
	day     day
	userID  int64
	counted bool
	left    time.Duration // of the day
}

// Counted reports whether the request that it was made for is among Used.
func (c Count) Counted() bool { return c.counted }

// Limit is how often the user may do it on this day, with what was granted.
func (c Count) Limit() int64 { return max(0, int64(c.PerDay)+c.Granted) }

// Left is how often the user may still do it on this day.
func (c Count) Left() int64 { return max(0, c.Limit()-c.Used) }

// Resets is when the day ends.
func (c Count) Resets() time.Time { return c.day.end() }

// Policy is an item of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10 §2).
func (c Count) Policy() string { return fmt.Sprintf(`"user-day";q=%d;w=86400`, c.Limit()) }

// State is an item of RateLimit (§3): how often it may still be done, and the seconds until midnight.
func (c Count) State() string {
	return fmt.Sprintf(`"user-day";r=%d;t=%d`, c.Left(), int64((c.left+time.Second-1)/time.Second))
}
