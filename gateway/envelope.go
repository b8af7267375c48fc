package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
)

// timestampFormat is ISO 8601 in UTC with milliseconds, as JavaScript's toISOString writes it.
const timestampFormat = "2006-01-02T15:04:05.000Z"

// success is the envelope of an answer of ours.
type success struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Data      any    `json:"data"`
	Timestamp string `json:"timestamp"`
}

// refusal is the envelope of an error of ours.
type refusal struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Error     string `json:"error"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail,omitempty"` // to the operator alone: what is wrong with the request
	RequestID string `json:"request_id"`
	Timestamp string `json:"timestamp"`
}

// answer is an answer of ours before one of the two listeners writes it.
type answer struct {
	status int
	header [][2]string
	body   []byte
}

func (a *answer) set(name, value string) { a.header = append(a.header, [2]string{name, value}) }

// jsonAnswer is an answer with v; HTML characters stay as they are, because the reader is no browser.
func jsonAnswer(status int, v any) (answer, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return answer{}, fmt.Errorf("writing an answer: %w", err)
	}
	return answer{status: status, body: bytes.TrimRight(b.Bytes(), "\n"), header: [][2]string{
		{fiber.HeaderContentType, "application/json; charset=utf-8"},
		{fiber.HeaderCacheControl, "no-store"},
		{fiber.HeaderXContentTypeOptions, "nosniff"},
	}}, nil
}

// successAnswer is 200 with data.
func successAnswer(message string, data any, now time.Time) (answer, error) {
	return jsonAnswer(http.StatusOK, success{http.StatusOK, message, data, timestamp(now)})
}

// failureAnswer is the refusal that a row of the error table stands for.
func failureAnswer(f failure, message, detail, requestID string, now time.Time) answer {
	a, err := jsonAnswer(f.status, refusal{f.status, message, statusName(f.status), f.reason, detail, requestID, timestamp(now)})
	if err != nil {
		return answer{status: http.StatusInternalServerError} // a struct of strings always encodes
	}
	if f.retryAfter > 0 {
		a.set(fiber.HeaderRetryAfter, strconv.Itoa(f.retryAfter))
	}
	if f.status == http.StatusUnauthorized {
		a.set(fiber.HeaderWWWAuthenticate, challenge(f.reason))
	}
	a.set(headerRequestID, requestID)
	return a
}

// writePublic writes the answer on the public listener.
func (a answer) writePublic(c *fiber.Ctx) {
	c.Status(a.status)
	for _, h := range a.header {
		c.Set(h[0], h[1])
	}
	c.Response().SetBody(a.body)
}

// writeAdmin writes the answer on the admin listener.
func (a answer) writeAdmin(w http.ResponseWriter) {
	for _, h := range a.header {
		w.Header().Set(h[0], h[1])
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the operator has left: nobody to tell
}

func timestamp(t time.Time) string { return t.UTC().Format(timestampFormat) }

// succeed answers 200 with data.
func (g *Gateway) succeed(c *fiber.Ctx, data any) error { return g.succeedWith(c, "success", data) }

func (g *Gateway) succeedWith(c *fiber.Ctx, message string, data any) error {
	a, err := successAnswer(message, data, g.deps.Now())
	if err != nil {
		return err
	}
	a.writePublic(c)
	return nil
}

func answerFailure(c *fiber.Ctx, f failure, message, requestID string, now time.Time) {
	failureAnswer(f, message, "", requestID, now).writePublic(c)
}

// challenge is what RFC 6750 §3 has for a reason of ours: an error only for who sent a token.
func challenge(reason string) string {
	switch reason {
	case "token_missing", "cloud_identity_missing":
		return `Bearer realm="wxgate"`
	case "token_malformed":
		return `Bearer realm="wxgate", error="invalid_request"`
	}
	return `Bearer realm="wxgate", error="invalid_token"`
}

// writeJSON answers with v, without the envelope.
func writeJSON(c *fiber.Ctx, status int, v any) error {
	a, err := jsonAnswer(status, v)
	if err != nil {
		return err
	}
	a.writePublic(c)
	return nil
}
