package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/message"
)

// methodOther stands for every method that is not forwardable. As a label it keeps the set closed; matchRoute refuses
// it.
const methodOther = "OTHER"

// methodOf is the method of a request: one of forwardable, or methodOther.
func methodOf(method string) string {
	for _, known := range forwardable() {
		if method == known {
			return known
		}
	}
	return methodOther
}

// forwardable are the methods of RFC 9110 §9 and RFC 5789 that a gateway may forward.
func forwardable() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions,
	}
}

func allowHeader() string { return strings.Join(forwardable(), ", ") }

// headerMethodOverride carries a method that wx.request cannot send.
const headerMethodOverride = "X-Http-Method-Override"

// overrideMethod replaces the method of a POST with its X-HTTP-Method-Override, before anything depends on the method.
// Other methods cannot be overridden, and the header never reaches a service, which might interpret it differently.
func overrideMethod(ex *Exchange) error {
	if ex.method != http.MethodPost || !ex.request.Fields.Has(headerMethodOverride) {
		return ex.next()
	}
	method := header.One(&ex.request.Fields, headerMethodOverride)
	if !slices.Contains([]string{http.MethodPut, http.MethodPatch, http.MethodDelete}, method) {
		return answer.ErrInvalidRequest
	}
	ex.method = method
	return ex.next()
}

// isForGateway reports whether a request is about the gateway itself rather than a service: OPTIONS * (RFC 9110
// §9.3.7), or an OPTIONS that may not be forwarded any further (§7.6.2).
func isForGateway(req *message.Request) bool {
	if req.Method != http.MethodOptions {
		return false
	}
	if string(req.Target) == "*" {
		return true
	}
	for name, value := range req.Fields.All() {
		if hops, counted := maxForwards(req.Method, name, value); counted && hops == 0 {
			return true
		}
	}
	return false
}

// answerOptions answers with the methods that the gateway supports.
func answerOptions(ex *Exchange) error {
	ex.response.Fields.Add("Allow", allowHeader())
	ex.response.Status = http.StatusNoContent
	return nil
}

// maxForwards is the value of the field if it is the Max-Forwards of an OPTIONS. It applies to OPTIONS and TRACE only
// (RFC 9110 §7.6.2), and TRACE is not forwarded at all.
func maxForwards(method string, name, value []byte) (hops uint64, counted bool) {
	if method != http.MethodOptions || !header.Folded(name, "max-forwards") {
		return 0, false
	}
	hops, err := strconv.ParseUint(string(value), 10, 32)
	return hops, err == nil
}
