package input

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// DidYouMean is advice behind a message about a wrong value: what to write instead. Without anything it is empty.
func DidYouMean(meant string) string {
	if meant == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", meant)
}

// amount splits what people write for a number with its unit, such as "30 min" or 30秒.
func amount(text string) (number, unit string) {
	if m := regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *(\p{L}+)$`).FindStringSubmatch(text); m != nil {
		return m[1], m[2]
	}
	return "", ""
}

// unitOfTime is the unit of a Duration, or w, that a word in English or Chinese stands for; empty for other words.
func unitOfTime(word string) string {
	switch strings.ToLower(word) {
	case "ms", "msec", "msecs", "millis", "millisecond", "milliseconds", "毫秒":
		return "ms"
	case "s", "sec", "secs", "second", "seconds", "秒", "秒钟":
		return "s"
	case "m", "min", "mins", "minute", "minutes", "分", "分钟":
		return "m"
	case "h", "hr", "hrs", "hour", "hours", "时", "小时", "个小时":
		return "h"
	case "d", "day", "days", "天", "日":
		return "d"
	case "w", "wk", "week", "weeks", "周", "星期":
		return "w"
	}
	return ""
}

// meantDuration is a duration as Duration reads it that somebody wrote otherwise; empty if that cannot be told.
func meantDuration(text string) string {
	const daysOfAWeek = 7
	number, word := amount(text)
	unit := unitOfTime(word)
	if weeks, err := strconv.Atoi(number); unit == "w" && err == nil {
		number, unit = strconv.Itoa(weeks*daysOfAWeek), "d"
	}
	if _, ok := parseDuration(number + unit); unit == "" || !ok {
		return ""
	}
	return number + unit
}

// meantSize is a size as a Size reads it that somebody wrote otherwise; empty if that cannot be told.
func meantSize(text string) string {
	number, word := amount(text)
	unit, known := "", true
	switch strings.ToLower(word) {
	case "b", "byte", "bytes", "字节":
	case "k", "kb", "kib":
		unit = "KiB"
	case "m", "mb", "mib", "兆":
		unit = "MiB"
	case "g", "gb", "gib":
		unit = "GiB"
	default:
		known = false
	}
	if _, err := parseSize(number + unit); !known || err != nil {
		return ""
	}
	return number + unit
}

// MeantRate is what somebody meant by a number of something in a time, such as 60/min, 60次/分钟 or 100qps: the number, and
// s, m, h or d. Both are empty if that cannot be told.
func MeantRate(text string) (count, unit string) {
	m := regexp.MustCompile(`^([0-9]+) *(?:次|r|req|reqs|requests)? *(?:/|每|per ) *(?:1|个)?(\p{L}+)$`).FindStringSubmatch(text)
	if m != nil && unitOfTime(m[2]) != "" {
		return m[1], unitOfTime(m[2])
	}
	switch number, word := amount(text); strings.ToLower(word) {
	case "qps", "rps":
		return number, "s"
	case "qpm", "rpm":
		return number, "m"
	}
	return "", ""
}
