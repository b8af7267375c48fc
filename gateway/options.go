package gateway

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/header"
)

// asksUs reports whether a request is about the gateway itself and not about a service: OPTIONS * (RFC 9110 §9.3.7), and an
// OPTIONS that may be forwarded no further (§7.6.2).
func asksUs(h *fasthttp.RequestHeader) bool {
	if string(h.Method()) != fasthttp.MethodOptions {
		return false
	}
	if string(h.RequestURI()) == "*" {
		return true
	}
	for name, value := range header.Lines(h) {
		if hops, counted := forwardsLeft(h, name, value); counted && hops == 0 {
			return true
		}
	}
	return false
}

// answerOptions tells what the gateway understands.
func answerOptions(ex *Exchange) error {
	ex.response.Header.Set(fasthttp.HeaderAllow, allowed())
	ex.response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// forwardsLeft is how often a request may still be forwarded, when the field says so. Only OPTIONS and TRACE count (RFC
// 9110 §7.6.2), and a TRACE comes no further.
func forwardsLeft(h *fasthttp.RequestHeader, name, value []byte) (hops uint64, counted bool) {
	if !header.Folded(name, "max-forwards") || string(h.Method()) != fasthttp.MethodOptions {
		return 0, false
	}
	hops, err := strconv.ParseUint(string(value), 10, 32)
	return hops, err == nil
}
