package gateway

import (
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
)

// methodOther stands for every method that is not forwardable. As a label it keeps the set closed; matchRoute refuses
// it.
const methodOther = "OTHER"

// methodOf is the method of a request: one of forwardable, or methodOther.
func methodOf(h *fasthttp.RequestHeader) string {
	for _, known := range forwardable() {
		if string(h.Method()) == known {
			return known
		}
	}
	return methodOther
}

// forwardable are the methods of RFC 9110 §9 and RFC 5789 that a gateway may forward.
func forwardable() []string {
	return []string{
		fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodPost, fasthttp.MethodPut, fasthttp.MethodPatch, fasthttp.MethodDelete,
		fasthttp.MethodOptions,
	}
}

func allowHeader() string { return strings.Join(forwardable(), ", ") }

// headerMethodOverride carries a method that wx.request cannot send.
const headerMethodOverride = "X-Http-Method-Override"

// overrideMethod replaces the method of a POST with its X-HTTP-Method-Override, before anything depends on the method.
// Other methods cannot be overridden, and the header never reaches a service, which might interpret it differently.
func overrideMethod(ex *Exchange) error {
	wanted := ex.request.Header.PeekAll(headerMethodOverride)
	if len(wanted) == 0 || ex.method != fasthttp.MethodPost {
		return ex.next()
	}
	method := string(wanted[0])
	if len(wanted) > 1 || !slices.Contains([]string{fasthttp.MethodPut, fasthttp.MethodPatch, fasthttp.MethodDelete}, method) {
		return answer.ErrInvalidRequest
	}
	ex.request.Header.SetMethod(method)
	ex.method = method
	return ex.next()
}

// isForGateway reports whether a request is about the gateway itself rather than a service: OPTIONS * (RFC 9110
// §9.3.7), or an OPTIONS that may not be forwarded any further (§7.6.2).
func isForGateway(h *fasthttp.RequestHeader) bool {
	if string(h.Method()) != fasthttp.MethodOptions {
		return false
	}
	if string(h.RequestURI()) == "*" {
		return true
	}
	for name, value := range header.Lines(h) {
		if hops, counted := maxForwards(h, name, value); counted && hops == 0 {
			return true
		}
	}
	return false
}

// answerOptions answers with the methods that the gateway supports.
func answerOptions(ex *Exchange) error {
	ex.response.Header.Set(fasthttp.HeaderAllow, allowHeader())
	ex.response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// maxForwards is the value of the field if it is the Max-Forwards of an OPTIONS. It applies to OPTIONS and TRACE only
// (RFC 9110 §7.6.2), and TRACE is not forwarded at all.
func maxForwards(h *fasthttp.RequestHeader, name, value []byte) (hops uint64, counted bool) {
	if !header.Folded(name, "max-forwards") || string(h.Method()) != fasthttp.MethodOptions {
		return 0, false
	}
	hops, err := strconv.ParseUint(string(value), 10, 32)
	return hops, err == nil
}
