package wechat

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// Failures without an errcode; test them with errors.Is. After ErrTimeout and ErrBadResponse nobody knows whether the
// js_code was used, so it is never sent again: the mini-program calls wx.login for a new one.
var (
	// ErrTimeout means that there was no complete answer within Config.Timeout or the caller's deadline.
	ErrTimeout = errors.New("no answer in time")
	// ErrUnreachable means that there was no connection (DNS, dial or TLS failed), so nothing was sent.
	ErrUnreachable = errors.New("unreachable")
	// ErrBadResponse is a broken connection, or an answer that WeChat's documentation rules out.
	ErrBadResponse = errors.New("bad response")
	// ErrInvalidCode refuses a malformed js_code or phone code; nothing was sent.
	ErrInvalidCode = errors.New("malformed code")
	// ErrInvalidCall refuses a method or path that Call does not forward; nothing was sent.
	ErrInvalidCall = errors.New("not a call that is forwarded")
	// ErrTokenRefused means that WeChat refuses the access_token it has just issued. A refresh is forced at most every
	// 30 s.
	ErrTokenRefused = errors.New("the access_token is refused, and a refresh was forced less than 30 s ago")
)

// Error is an answer of WeChat with an errcode other than 0.
type Error struct {
	API       string // the last segment of the path: jscode2session
	Code      int    // errcode, as WeChat numbers it; see KnownCodes
	Message   string // errmsg without its rid: printable, at most 200 bytes, secrets replaced by ***
	RequestID string // rid or req_id of errmsg, which Tencent can look up for 7 days; may be empty
}

// Error returns which call failed and why, in one line without secrets.
func (e *Error) Error() string {
	text := fmt.Sprintf("wechat %s: errcode %d: %s", e.API, e.Code, e.Message)
	if e.RequestID == "" {
		return text
	}
	return text + ", rid: " + e.RequestID
}

// Address returns ours as WeChat saw it, which errmsg of ErrCodeAddressNotListed names ("invalid ip 203.0.113.7 ipv6
// ::ffff:203.0.113.7, not in whitelist"); the zero Addr if there is none.
func (e *Error) Address() netip.Addr {
	for word := range strings.FieldsSeq(e.Message) {
		if address, err := netip.ParseAddr(strings.TrimRight(word, ",")); err == nil && address.Zone() == "" {
			return address.Unmap()
		}
	}
	return netip.Addr{}
}

const (
	// maxMessage bounds an errmsg in bytes; the longest real ones have about 120.
	maxMessage = 200
	// minSecret is the shortest text worth hiding, in bytes. Hiding a made-up code of one letter would garble the message.
	minSecret = 8
)

// newError cleans errmsg, which is free text and may one day quote the request: secrets become *** before anything is cut.
func newError(api string, code int, errmsg string, secrets []string) *Error {
	errmsg = hide(printable(errmsg), secrets)
	message, id := splitRequestID(errmsg)
	return &Error{API: api, Code: code, Message: truncate(message, maxMessage), RequestID: id}
}

// maxRequestID bounds a rid, in bytes; real ones have about 30.
const maxRequestID = 64

// splitRequestID returns errmsg without its suffix, and the id inside that suffix: ", rid: 5f…" or
// ", hints: [ req_id: Xy… ]" (seen in the answers of most APIs).
func splitRequestID(errmsg string) (message, id string) {
	rest := strings.TrimRight(errmsg, " ")
	rest = strings.TrimRight(strings.TrimSuffix(rest, "]"), " ")
	label := strings.TrimRightFunc(rest, inRequestID)
	id, rest = rest[len(label):], strings.TrimRight(label, " ")
	message, named := strings.CutSuffix(rest, "rid:")
	if !named {
		message, named = strings.CutSuffix(rest, "req_id:")
	}
	if !named || id == "" || len(id) > maxRequestID {
		return errmsg, ""
	}
	message = strings.TrimRight(message, " ")
	if before, bracket := strings.CutSuffix(message, "["); bracket {
		if before, hints := strings.CutSuffix(strings.TrimRight(before, " "), "hints:"); hints {
			message = strings.TrimRight(before, " ")
		}
	}
	if before, comma := strings.CutSuffix(message, ","); comma {
		return before, id
	}
	return strings.TrimSuffix(message, "，"), id
}

func inRequestID(r rune) bool { return !notInSegment(r) || r == '.' }

// hide replaces each secret in s.
func hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			s = strings.ReplaceAll(s, secret, masked)
		}
	}
	return s
}

// printable drops what could break a log line or a terminal: control, format and invalid characters.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s))
}

// truncate cuts s to at most n bytes, between two characters.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
