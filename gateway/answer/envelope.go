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

// contentTypeJSON is the media type of all our answers that have one.
const contentTypeJSON = "application/json; charset=utf-8"

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

// successEnvelope is the envelope of a successful answer.
type successEnvelope struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Data      any    `json:"data"`
	Timestamp string `json:"timestamp"`
}

// failureEnvelope is the envelope of an error on the admin listener.
type failureEnvelope struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Error     string `json:"error"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail,omitempty"` // for the operator only: what is wrong with the request
	RequestID string `json:"request_id"`
	Timestamp string `json:"timestamp"`
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
		[2]string{"Content-Type", contentTypeJSON},
		[2]string{"Cache-Control", "no-store"},
		[2]string{"X-Content-Type-Options", "nosniff"},
	)}
}

// Success is a 200 with data in the envelope.
func Success(message string, data any, now time.Time) (Answer, error) {
	return JSON(http.StatusOK, successEnvelope{http.StatusOK, message, data, timestamp(now)})
}

// Fixed is an answer with text of the operator, without an envelope. An empty body means none.
func Fixed(status int, body string) Answer {
	a := Answer{Status: status, Body: []byte(body)}
	switch {
	case body == "":
	case json.Valid(a.Body):
		a.set("Content-Type", contentTypeJSON)
	default:
		a.set("Content-Type", "text/plain; charset=utf-8")
	}
	return a
}

// Answer is the answer for a row of the error table on the admin listener. detail is what is wrong with the request, ""
// for nothing.
func (f Failure) Answer(detail, requestID string, now time.Time) (Answer, error) {
	a, err := JSON(f.Status, failureEnvelope{f.Status, f.Message, http.StatusText(f.Status), f.Reason, detail, requestID, timestamp(now)})
	if f.RetryAfter > 0 {
		a.set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Status == http.StatusUnauthorized {
		a.set("WWW-Authenticate", challenge(f.Reason))
	}
	a.set(HeaderRequestID, requestID)
	return a, err
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

// LastBytes is resp with its head, as the last answer of a connection that never reaches a server.
func LastBytes(resp *message.Response, now time.Time) []byte {
	b := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", resp.Status, http.StatusText(resp.Status))
	b = resp.Fields.AppendTo(b)
	b = fmt.Appendf(b, "Date: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", now.UTC().Format(http.TimeFormat), len(resp.Body))
	return append(b, resp.Body...)
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
