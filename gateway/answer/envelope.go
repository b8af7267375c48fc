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

	"github.com/valyala/fasthttp"
)

// HeaderRequestID carries the ID of a request in logs, answers and requests to services.
const HeaderRequestID = "X-Request-Id"

// NewRequestID returns 16 random characters of base64url.
func NewRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
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

// Answer is an answer of the gateway, not yet written by one of the two listeners.
type Answer struct {
	status int
	header [][2]string
	body   []byte
}

func (a *Answer) set(name, value string) { a.header = append(a.header, [2]string{name, value}) }

// JSON is an answer with v, without the envelope. HTML characters are not escaped, because no browser reads it.
func JSON(status int, v any) (Answer, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Answer{}, fmt.Errorf("writing an answer: %w", err)
	}
	return Answer{status: status, body: bytes.TrimRight(b.Bytes(), "\n"), header: [][2]string{
		{fasthttp.HeaderContentType, "application/json; charset=utf-8"},
		{fasthttp.HeaderCacheControl, "no-store"},
		{fasthttp.HeaderXContentTypeOptions, "nosniff"},
	}}, nil
}

// Success is a 200 with data in the envelope.
func Success(message string, data any, now time.Time) (Answer, error) {
	return JSON(http.StatusOK, success{http.StatusOK, message, data, timestamp(now)})
}

// Fixed is an answer with text of the operator, without an envelope. An empty body means none.
func Fixed(status int, body string) Answer {
	a := Answer{status: status, body: []byte(body)}
	switch {
	case body == "":
	case json.Valid(a.body):
		a.set(fasthttp.HeaderContentType, "application/json; charset=utf-8")
	default:
		a.set(fasthttp.HeaderContentType, "text/plain; charset=utf-8")
	}
	return a
}

// Refusal is the answer for a row of the error table. message is the row's own or a more specific one; detail is for
// the operator only, "" on the public listener.
func (f Failure) Refusal(message, detail, requestID string, now time.Time) Answer {
	a, err := JSON(f.Status, refusal{f.Status, message, http.StatusText(f.Status), f.Reason, detail, requestID, timestamp(now)})
	if err != nil {
		return Answer{status: http.StatusInternalServerError} // a struct of strings always encodes
	}
	if f.RetryAfter > 0 {
		a.set(fasthttp.HeaderRetryAfter, strconv.Itoa(f.RetryAfter))
	}
	if f.Status == http.StatusUnauthorized {
		a.set(fasthttp.HeaderWWWAuthenticate, challenge(f.Reason))
	}
	a.set(HeaderRequestID, requestID)
	return a
}

// Fill sets resp, on the public listener, to the answer. Other header fields of resp are kept.
func (a Answer) Fill(resp *fasthttp.Response) {
	resp.SetStatusCode(a.status)
	for _, h := range a.header {
		resp.Header.Set(h[0], h[1])
	}
	resp.SetBody(a.body)
}

// Write writes the answer on the admin listener.
func (a Answer) Write(w http.ResponseWriter) {
	for _, h := range a.header {
		w.Header().Set(h[0], h[1])
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the operator has left: there is nobody to tell
}

// Bytes is the answer with its head, as the last one of a connection that never reaches a server.
func (a Answer) Bytes(now time.Time) []byte {
	a.set(fasthttp.HeaderDate, now.UTC().Format(http.TimeFormat))
	a.set(fasthttp.HeaderContentLength, strconv.Itoa(len(a.body)))
	a.set(fasthttp.HeaderConnection, "close")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	for _, h := range a.header {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	b.Write(a.body)
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
