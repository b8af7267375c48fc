package gateway

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
)

// methodOther stands for every method that is not forwardable. As a label it keeps the set closed; matchRoute refuses it.
const methodOther = "OTHER"

// methodOf is the method of a request, as one of forwardable or methodOther.
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

func allowed() string { return strings.Join(forwardable(), ", ") }

// headerMethodOverride carries the method that wx.request cannot send.
const headerMethodOverride = "X-Http-Method-Override"

// overrideMethod makes a POST with X-HTTP-Method-Override the request it stands for, before anything is decided on the
// method. Other methods cannot be overridden, and the header never reaches a service, which might see it differently.
func (g *Gateway) overrideMethod(ex *Exchange) error {
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
