// Package input reads what an operator says: in a flag, in a body or query of the admin API, in gateway.yaml. There is
// one way for each kind of value, and what could be meant otherwise is refused with a word on how to write it.
package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// LargestID is the largest user id: what a JavaScript number can hold exactly.
const LargestID = 1<<53 - 1

// mostDays keeps durations far below what a time.Duration can hold.
const mostDays = 100_000

// Duration reads a duration as time.ParseDuration does, and days of 24 hours at its beginning: 500ms, 30s, 1h30m, 7d,
// 1d12h.
func Duration(text string) (time.Duration, error) {
	if d, ok := parseDuration(text); ok {
		return d, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%[1]s has no unit: write %[1]ss for seconds, %[1]sm for minutes, %[1]sh for hours", text)
	}
	return 0, fmt.Errorf("%s is not a duration such as 30s, 72h or 7d%s", Quote(text), DidYouMean(meantDuration(text)))
}

func parseDuration(text string) (time.Duration, bool) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	n, err := Count(days)
	if err != nil || n > mostDays {
		return 0, false
	}
	whole := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return whole, true
	}
	part, err := time.ParseDuration(rest)
	return whole + part, err == nil && part >= 0
}

// UserID reads a user id as it is printed: digits that do not begin with 0, from 1 to LargestID.
func UserID(text string) (int64, error) {
	id, err := Count(text)
	if err != nil || id == 0 || id > LargestID {
		return 0, fmt.Errorf("%s is not a user id, a number such as 42", Quote(text))
	}
	return id, nil
}

// Count reads a whole number from 0 in decimal digits: no sign, no other base, no 0 before it.
func Count(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || text[0] == '0' && len(text) > 1 {
		return 0, fmt.Errorf("%s is not a whole number such as 100", Quote(text))
	}
	return int64(n), nil // it has 63 bits
}

// Time reads a time as RFC 3339 writes it, with its zone.
func Time(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s is not a time such as 2026-12-31T08:00:00+08:00", Quote(text))
	}
	return at, nil
}

// Quote is what somebody wrote, with control characters escaped, short enough for a line.
func Quote(text string) string {
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return strconv.Quote(text)
}

// QueryCount reads a parameter of a query that is a whole number from least to most; unset is what its absence means.
func QueryCount(query url.Values, name string, unset, least, most int64) (int64, error) {
	if !query.Has(name) {
		return unset, nil
	}
	n, err := Count(query.Get(name))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is not a number from %d to %d", name, least, most)
	}
	return n, nil
}

// JSON decodes a body that is one JSON value in UTF-8 into v. Unknown fields are passed over.
func JSON(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}
