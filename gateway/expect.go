package gateway

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
)

// pass is which of the passes through the chain a request is on. One that expects 100-continue makes two.
type pass uint8

const (
	onlyPass pass = iota // it expects nothing
	asking               // the chain answers its expectation
	admitted             // it was told to go on, and comes with its body
)

// firstPass is what the first pass of a request leaves for the second.
type firstPass struct {
	headAt     time.Time      // when its head came
	prefetched *authn.Subject // whom the code of a pre-fetch named, which is spent by then
}

// firstPassKey is the key of a request's firstPass in its user values.
type firstPassKey struct{}

const continueExpected = "100-continue"

// readExpect makes fasthttp ask us about every expectation, and by the rule: in any case of its letters, but not when no
// body follows (RFC 9110 §10.1.1). fasthttp knows the first value alone, spelled so. It also makes fasthttp ask about
// every body with a length: by itself it waits for the first byte of one before it calls a handler, and a refusal must
// not wait.
func readExpect(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	other := expectsOther(h)
	h.Del(fasthttp.HeaderExpect)
	if length := h.ContentLength(); length > 0 || length == -1 && waitsForContinue(h) {
		h.Set(fasthttp.HeaderExpect, continueExpected)
	}
	if other {
		h.Add(fasthttp.HeaderExpect, "other")
	}
	return fasthttp.RequestConfig{}
}

// waitsForContinue reports whether the client waits for 100 before it sends the body, which none of HTTP/1.0 may.
func waitsForContinue(h *fasthttp.RequestHeader) bool {
	if !h.IsHTTP11() {
		return false
	}
	for name, value := range header.Lines(h) {
		if bytes.EqualFold(name, []byte(fasthttp.HeaderExpect)) && bytes.EqualFold(value, []byte(continueExpected)) {
			return true
		}
	}
	return false
}

func expectsOther(h *fasthttp.RequestHeader) bool {
	for _, value := range h.PeekAll(fasthttp.HeaderExpect) {
		if len(value) > 0 && !bytes.EqualFold(value, []byte(continueExpected)) {
			return true
		}
	}
	return false
}

// admit is where the first pass ends when nothing refused the request.
func admit(ex *Exchange) error {
	ex.outcome = continued
	return nil
}

// expectation refuses what cannot be expected of us (RFC 9110 §10.1.1).
func expectation(ex *Exchange) error {
	if expectsOther(&ex.request.Header) {
		return &answer.StatusError{Status: fasthttp.StatusExpectationFailed, Detail: "an expectation other than 100-continue"}
	}
	return ex.next()
}

// once leaves out a step on the second pass: a limit counts a request, not its passes.
func once(step Step) Step {
	return func(ex *Exchange) error {
		if ex.pass == admitted {
			return ex.next()
		}
		return step(ex)
	}
}
