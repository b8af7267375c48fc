package gateway

import (
	"bytes"
	"encoding/json"
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
	RequestID string `json:"request_id"`
	Timestamp string `json:"timestamp"`
}

func timestamp(t time.Time) string { return t.UTC().Format(timestampFormat) }

// succeed answers 200 with data.
func (g *Gateway) succeed(c *fiber.Ctx, data any) error { return g.succeedWith(c, "success", data) }

func (g *Gateway) succeedWith(c *fiber.Ctx, message string, data any) error {
	return writeJSON(c, fiber.StatusOK, success{fiber.StatusOK, message, data, timestamp(g.deps.Now())})
}

func answerFailure(c *fiber.Ctx, f failure, message, requestID string, now time.Time) {
	if f.retryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(f.retryAfter))
	}
	if f.status == fiber.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="wxgate", error="`+bearerError(f.reason)+`"`)
	}
	c.Set(headerRequestID, requestID)
	body := refusal{f.status, message, statusName(f.status), f.reason, requestID, timestamp(now)}
	if err := writeJSON(c, f.status, body); err != nil {
		c.Status(fiber.StatusInternalServerError)
	}
}

// bearerError is the error code of RFC 6750 §3.1 for a reason of ours.
func bearerError(reason string) string {
	if reason == "token_missing" || reason == "token_malformed" {
		return "invalid_request"
	}
	return "invalid_token"
}

// writeJSON answers with v; HTML characters stay as they are, because the reader is no browser.
func writeJSON(c *fiber.Ctx, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	c.Status(status)
	c.Set(fiber.HeaderContentType, "application/json; charset=utf-8")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Response().SetBody(bytes.TrimRight(b.Bytes(), "\n"))
	return nil
}
