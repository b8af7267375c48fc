// Package answer makes the answers of the gateway itself, on both of its listeners: the envelope, and the one table that
// maps errors to HTTP. It knows every package whose errors reach a client, and nothing of how a request arrived.
package answer

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"wxgate/message"
)

// HeaderRequestID carries the ID of a request in logs, answers and requests to services.
const HeaderRequestID = "X-Request-Id"

// A request ID is so many random bytes, and as text so many characters.
const (
	requestIDBytes = 12
	requestIDChars = requestIDBytes * 8 / 6
)

// NewRequestID returns 16 random characters of base64url.
func NewRequestID() string { return randomText(make([]byte, requestIDBytes)) }

// randomText fills b with random bytes, and returns them in base64url.
func randomText(b []byte) string {
	_, _ = rand.Read(b) // it cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// RequestIDs makes request IDs, several at a time. One goroutine at a time uses it.
type RequestIDs struct{ left string }

// Next returns 16 random characters of base64url.
func (r *RequestIDs) Next() string {
	if r.left == "" {
		var random [16 * requestIDBytes]byte
		r.left = randomText(random[:])
	}
	id := r.left[:requestIDChars]
	r.left = r.left[requestIDChars:]
	return id
}

// success is the envelope of a successful answer.
type success struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Data      any    `json:"data"`
	Timestamp string `json:"timestamp"`
}

// refusal is the envelope of an error.
type refusal struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Error     string `json:"error"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail,omitempty"` // for the operator only: what is wrong with the request
	RequestID string `json:"request_id"`
	Timestamp string `json:"timestamp"`
}

// json encodes r. A flood of refusals must be cheap, so what needs no escape is not looked at by package json.
func (r refusal) json() ([]byte, error) {
	for _, text := range []string{r.Message, r.Error, r.Reason, r.Detail, r.RequestID, r.Timestamp} {
		if needsEscape(text) {
			a, err := JSON(r.Code, r)
			return a.Body, err
		}
	}
	b := make([]byte, 0, 256)
	b = append(strconv.AppendInt(append(b, `{"code":`...), int64(r.Code), 10), `,"message":"`...)
	b = append(append(append(b, r.Message...), `","error":"`...), r.Error...)
	b = append(append(append(b, `","reason":"`...), r.Reason...), '"')
	if r.Detail != "" {
		b = append(append(append(b, `,"detail":"`...), r.Detail...), '"')
	}
	b = append(append(append(b, `,"request_id":"`...), r.RequestID...), `","timestamp":"`...)
	return append(append(b, r.Timestamp...), `"}`...), nil
}

// needsEscape reports whether package json may write s otherwise than it is.
func needsEscape(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f || s[i] == 0xe2 { // U+2028 begins with the last one
			return true
		}
	}
	return !utf8.ValidString(s)
}

// Answer is an answer of the gateway, not yet written by one of the two listeners.
type Answer struct {
	Status int
	Fields [][2]string // name and value
	Body   []byte
}

func (a *Answer) set(name, value string) { a.Fields = append(a.Fields, [2]string{name, value}) }

// JSON is an answer with v, without the envelope. HTML characters are not escaped, because no browser reads it.
func JSON(status int, v any) (Answer, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Answer{}, fmt.Errorf("writing an answer: %w", err)
	}
	return newJSON(status, bytes.TrimRight(b.Bytes(), "\n")), nil
}

func newJSON(status int, body []byte) Answer {
	return Answer{Status: status, Body: body, Fields: append(make([][2]string, 0, 6),
		[2]string{"Content-Type", "application/json; charset=utf-8"},
		[2]string{"Cache-Control", "no-store"},
		[2]string{"X-Content-Type-Options", "nosniff"},
	)}
}

// Success is a 200 with data in the envelope.
func Success(message string, data any, now time.Time) (Answer, error) {
	return JSON(http.StatusOK, success{http.StatusOK, message, data, timestamp(now)})
}

// Fixed is an answer with text of the operator, without an envelope. An empty body means none.
func Fixed(status int, body string) Answer {
	a := Answer{Status: status, Body: []byte(body)}
	switch {
	case body == "":
	case json.Valid(a.Body):
		a.set("Content-Type", "application/json; charset=utf-8")
	default:
		a.set("Content-Type", "text/plain; charset=utf-8")
	}
	return a
}

// Refusal is the answer for a row of the error table. message is the row's own or a more specific one; detail is for
// the operator only, "" on the public listener.
func (f Failure) Refusal(message, detail, requestID string, now time.Time) Answer {
	body, err := refusal{f.Status, message, http.StatusText(f.Status), f.Reason, detail, requestID, timestamp(now)}.json()
	if err != nil {
		return Answer{Status: http.StatusInternalServerError} // a struct of strings always encodes
	}
	a := newJSON(f.Status, body)
	if f.RetryAfter > 0 {
		a.set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Status == http.StatusUnauthorized {
		a.set("WWW-Authenticate", challenge(f.Reason))
	}
	a.set(HeaderRequestID, requestID)
	return a
}

// Fill sets resp, on the public listener, to the answer. Other fields of resp are kept.
func (a Answer) Fill(resp *message.Response) {
	resp.Status = a.Status
	for _, f := range a.Fields {
		resp.Fields.Set(f[0], f[1])
	}
	resp.Body = append(resp.Body[:0], a.Body...)
}

// Write writes the answer on the admin listener.
func (a Answer) Write(w http.ResponseWriter) {
	for _, h := range a.Fields {
		w.Header().Set(h[0], h[1])
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // the operator has left: there is nobody to tell
}

// Bytes is the answer with its head, as the last one of a connection that never reaches a server.
func (a Answer) Bytes(now time.Time) []byte {
	a.set("Date", now.UTC().Format(http.TimeFormat))
	a.set("Content-Length", strconv.Itoa(len(a.Body)))
	a.set("Connection", "close")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.Status, http.StatusText(a.Status))
	for _, h := range a.Fields {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	b.Write(a.Body)
	return b.Bytes()
}

// challenge is the challenge of RFC 6750 §3 for a reason: with an error only for requests that carried a token.
func challenge(reason string) string {
	switch reason {
	case "token_missing", "cloud_identity_missing":
		return `Bearer realm="wxgate"`
	case "token_malformed":
		return `Bearer realm="wxgate", error="invalid_request"`
	}
	return `Bearer realm="wxgate", error="invalid_token"`
}
