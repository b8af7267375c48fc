package header

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// Continue is the one expectation that there is (RFC 9110 §10.1.1).
const Continue = "100-continue"

// ExpectsContinue reports whether the client waits for 100 before it sends the body, which none of HTTP/1.0 may.
func ExpectsContinue(h *fasthttp.RequestHeader) bool {
	if !h.IsHTTP11() {
		return false
	}
	for name, value := range Lines(h) {
		if bytes.EqualFold(name, []byte(fasthttp.HeaderExpect)) && bytes.EqualFold(value, []byte(Continue)) {
			return true
		}
	}
	return false
}

// ExpectsOther reports whether something else than 100-continue is expected of us.
func ExpectsOther(h *fasthttp.RequestHeader) bool {
	for _, value := range h.PeekAll(fasthttp.HeaderExpect) {
		if len(value) > 0 && !bytes.EqualFold(value, []byte(Continue)) {
			return true
		}
	}
	return false
}
