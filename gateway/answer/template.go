package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/authn"
)

// placeholder is what stands in a template for a value of one answer.
type placeholder uint8

const (
	noPlaceholder placeholder = iota
	placeStatus               // the HTTP status that the failure has by itself
	placeCode                 // the business code
	placeMessage
	placeReason
	placeError // the text of the status
	placeRequestID
	placeTimestamp   // ISO 8601
	placeTimestampMs // Unix, in milliseconds
	placeTimestampS  // Unix, in seconds
	placeData
	placeToken
	placeExpiresIn   // seconds
	placeExpiresAt   // ISO 8601
	placeExpiresAtMs // Unix, in milliseconds
	placeExpiresAtS  // Unix, in seconds
	placeUserID
	placeIsNew // whether this login made the user
	placeOpenID
	placeUnionID
	placeNickname
	placeAvatar
	placeBio
	placeCreatedAt
)

// The placeholders of each kind of template.
func anyPlaceholders() map[string]placeholder {
	return map[string]placeholder{
		"code": placeCode, "message": placeMessage, "timestamp": placeTimestamp, "timestamp_ms": placeTimestampMs, "timestamp_s": placeTimestampS,
	}
}

func successPlaceholders() map[string]placeholder {
	all := anyPlaceholders()
	all["data"] = placeData
	return all
}

func refusalPlaceholders() map[string]placeholder {
	all := anyPlaceholders()
	all["status"], all["reason"], all["error"], all["request_id"] = placeStatus, placeReason, placeError, placeRequestID
	return all
}

func refreshPlaceholders() map[string]placeholder {
	all := anyPlaceholders()
	all["access_token"], all["expires_in"] = placeToken, placeExpiresIn
	all["expires_at"], all["expires_at_ms"], all["expires_at_s"] = placeExpiresAt, placeExpiresAtMs, placeExpiresAtS
	return all
}

func profilePlaceholders() map[string]placeholder {
	all := anyPlaceholders()
	all["user_id"], all["openid"], all["unionid"], all["created_at"] = placeUserID, placeOpenID, placeUnionID, placeCreatedAt
	all["nickname"], all["avatar"], all["bio"] = placeNickname, placeAvatar, placeBio
	return all
}

func loginPlaceholders() map[string]placeholder {
	all := refreshPlaceholders()
	maps.Copy(all, profilePlaceholders())
	all["is_new"] = placeIsNew
	return all
}

// values are what placeholders stand for in one answer.
type values struct {
	status    int
	code      string
	message   string
	reason    string
	requestID string
	now       time.Time
	data      []byte // JSON
	grant     authn.Grant
}

// piece is a part of a template: text, and what follows it.
type piece struct {
	text   string
	place  placeholder
	within bool // it stands within a text in quotes
}

// template is JSON with placeholders. One that stands where a value can stand is a whole value, with its quotes; one within
// a text is a part of that.
type template []piece

// maxTemplateBytes is the length of the longest template of a configuration. What is made of one is longer: a login puts
// standard data in the place of each {data}.
const maxTemplateBytes = 4 << 10

// parseTemplate reads a template. {name} is a placeholder wherever it stands.
func parseTemplate(text string, known map[string]placeholder) (t template, err error) {
	within, from := false, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			within = !within
		case '{':
			name, _, closed := strings.Cut(text[i+1:], "}")
			if !closed || !isPlaceholderName(name) {
				continue
			}
			place, ok := known[name]
			if !ok {
				return nil, fmt.Errorf("{%s} is none of the placeholders here: %s", name, placeholderNames(known))
			}
			if place == placeData && within {
				return nil, errors.New("{data} is a whole value, and stands without quotes")
			}
			t = append(t, piece{text[from:i], place, within})
			i += len(name) + 1
			from = i + 1
		}
	}
	t = append(t, piece{text: text[from:]})
	for _, code := range []string{"0", `"`} { // written as a number, and as a text
		if filled := t.append(nil, &values{code: code, message: `"`, data: []byte("{}")}, new(clock)); !json.Valid(filled) {
			return nil, errors.New("is not JSON, once its placeholders are filled in")
		}
	}
	return t, nil
}

// has reports whether the template has a placeholder.
func (t template) has(place placeholder) bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.place == place })
}

// isPlaceholderName tells {name} from the beginning of an object, in which a quote or a brace comes first.
func isPlaceholderName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// placeholderNames lists placeholders as they are written.
func placeholderNames(known map[string]placeholder) string {
	return "{" + strings.Join(slices.Sorted(maps.Keys(known)), "}, {") + "}"
}

// append appends the JSON of an answer.
func (t template) append(b []byte, v *values, at *clock) []byte {
	for i := range t {
		p := &t[i]
		b = append(b, p.text...)
		if p.place != noPlaceholder {
			b = appendValue(b, p, v, at)
		}
	}
	return b
}

// with is the template with what is the same in many answers filled in.
func (t template) with(v *values, constant func(placeholder) bool) (filled template) {
	var text []byte
	for _, p := range t {
		text = append(text, p.text...)
		switch {
		case p.place == noPlaceholder:
		case constant(p.place):
			text = appendValue(text, &p, v, nil)
		default:
			filled = append(filled, piece{string(text), p.place, p.within})
			text = text[:0]
		}
	}
	return append(filled, piece{text: string(text)})
}

// appendValue appends what a placeholder stands for.
func appendValue(b []byte, p *piece, v *values, at *clock) []byte {
	switch p.place {
	case placeStatus:
		return strconv.AppendInt(b, int64(v.status), 10)
	case placeTimestampMs:
		return strconv.AppendInt(b, v.now.UnixMilli(), 10)
	case placeTimestampS:
		return strconv.AppendInt(b, v.now.Unix(), 10)
	case placeExpiresIn:
		return strconv.AppendInt(b, int64(v.grant.ExpiresIn/time.Second), 10)
	case placeExpiresAtMs:
		return strconv.AppendInt(b, v.expiresAt().UnixMilli(), 10)
	case placeExpiresAtS:
		return strconv.AppendInt(b, v.expiresAt().Unix(), 10)
	case placeUserID:
		return strconv.AppendInt(b, v.grant.User.ID, 10)
	case placeIsNew:
		return strconv.AppendBool(b, v.grant.Created)
	case placeData:
		return append(b, v.data...)
	case placeCode:
		if !p.within && isNumber(v.code) {
			return append(b, v.code...)
		}
	}
	if !p.within {
		b = append(b, '"')
	}
	switch p.place {
	case placeTimestamp:
		b = at.append(b, v.now)
	case placeExpiresAt:
		b = appendTimestamp(b, v.expiresAt())
	case placeCreatedAt:
		b = appendTimestamp(b, v.grant.User.CreatedAt)
	default:
		b = appendText(b, v.text(p.place))
	}
	if !p.within {
		b = append(b, '"')
	}
	return b
}

// expiresAt is when the token expires.
func (v *values) expiresAt() time.Time { return v.now.Add(v.grant.ExpiresIn) }

// text is the text that a placeholder stands for.
func (v *values) text(of placeholder) string {
	switch of {
	case placeCode:
		return v.code
	case placeMessage:
		return v.message
	case placeReason:
		return v.reason
	case placeError:
		return http.StatusText(v.status)
	case placeRequestID:
		return v.requestID
	case placeToken:
		return v.grant.Token
	case placeOpenID:
		return v.grant.User.OpenID
	case placeUnionID:
		return v.grant.User.UnionID
	case placeNickname:
		return v.grant.User.Nickname
	case placeBio:
		return v.grant.User.Bio
	case placeAvatar:
		return v.grant.User.Avatar
	}
	return ""
}

// appendText appends a text as it stands between quotes. A flood of refusals must be cheap, so what needs no escape is not
// looked at by package json.
func appendText(b []byte, s string) []byte {
	if !needsEscape(s) {
		return append(b, s...)
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	text := bytes.TrimRight(quoted.Bytes(), "\n")
	return append(b, text[1:len(text)-1]...)
}

// isNumber reports whether a business code is written as a number: 0 or 501, and not 00000, which is a text.
func isNumber(code string) bool {
	digits := strings.TrimPrefix(code, "-")
	return digits != "" && len(digits) <= 15 && strings.Trim(digits, "0123456789") == "" && (digits[0] != '0' || code == "0")
}
