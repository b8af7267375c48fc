package wechat

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// sealedFor is how far watermark.timestamp of a phone number may be from now: a button is pressed and its data sent in one
// go, and a phone's clock has no part in it.
const sealedFor = 10 * time.Minute

// OwnedBy reports whether no openId in data that Decrypt returned, in whatever case, is another one than openID.
func OwnedBy(opened []byte, openID string) bool {
	members, err := parseObject(opened)
	if err != nil {
		return false
	}
	for name, value := range members {
		var text string
		if strings.EqualFold(name, "openid") && (json.Unmarshal(value, &text) != nil || text != openID) {
			return false
		}
	}
	return true
}

// SealedPhone returns the number in data from Decrypt, or ErrDecrypt. CBC lets a client assemble data that WeChat never
// encrypted, so everything must match: the number with and without its country code, and a watermark at most ten minutes
// from now. That makes forgery harder, but not impossible.
func SealedPhone(opened []byte, now time.Time) (Phone, error) {
	members, err := parseObject(opened)
	if err != nil {
		return Phone{}, ErrDecrypt
	}
	phone, err := members.phone()
	if err != nil || !phone.consistent() || !members.sealedAround(now) {
		return Phone{}, ErrDecrypt
	}
	return phone, nil
}

// sealedAround reports whether the watermark says a time close to now.
func (o object) sealedAround(now time.Time) bool {
	mark, err := parseObject(bytes.TrimSpace(o["watermark"]))
	var seconds int64
	if err != nil || json.Unmarshal(mark["timestamp"], &seconds) != nil {
		return false
	}
	return now.Sub(time.Unix(seconds, 0)).Abs() <= sealedFor
}

// consistent reports whether Number is PureNumber with CountryCode before it, which a number of 86 may leave out. E.164
// has 15 digits at most; islands that share the code 1 are given with four.
func (p Phone) consistent() bool {
	if !allDigits(p.PureNumber, 15) || !allDigits(p.CountryCode, 4) {
		return false
	}
	number := strings.ReplaceAll(strings.TrimPrefix(p.Number, "+"), "-", "")
	return number == p.CountryCode+p.PureNumber || p.CountryCode == "86" && p.Number == p.PureNumber
}

func allDigits(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}
