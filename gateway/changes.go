package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/header"
	"wxgate/input"
)

// headerChanges are what a route sets and removes of the headers that the service gets.
type headerChanges struct {
	fields  [][2]string // name and value of those that are set
	dropped []string    // folded names of those and of the removed ones: the client's own do not pass
}

func newHeaderChanges(cfg RouteHeaders) headerChanges {
	var h headerChanges
	for _, name := range slices.Sorted(maps.Keys(cfg.Set)) {
		h.fields = append(h.fields, [2]string{name, cfg.Set[name]})
		h.dropped = append(h.dropped, header.Fold(name))
	}
	for _, name := range cfg.Remove {
		h.dropped = append(h.dropped, header.Fold(name))
	}
	return h
}

// hold reports whether a header of the client is replaced or removed, in any spelling that a service could take for it.
func (h *headerChanges) hold(name []byte) bool {
	for _, dropped := range h.dropped {
		if header.Folded(name, dropped) {
			return true
		}
	}
	return false
}

// set adds the headers of the route.
func (h *headerChanges) set(out *fasthttp.RequestHeader) {
	for _, field := range h.fields {
		out.Set(field[0], field[1])
	}
}

// validate refuses what a route must not decide: who is calling, how the message is framed, and what belongs to one
// connection.
func (h RouteHeaders) validate(ours *reserved) (f input.Faults) {
	spelled := map[string]string{}
	check := func(path, name string) {
		switch {
		case !validToken(name):
			f.Add(path, "%q is not a header name", name)
		case ours.holds([]byte(name)):
			f.Add(path, "%s says who is calling; only the gateway sets it", name)
		case hopByHop([]byte(name)) || setByUs([]byte(name)) || strings.HasPrefix(header.Fold(name), "sec-websocket-"):
			f.Add(path, "%s is set by the gateway itself", name)
		case spelled[header.Fold(name)] != "":
			f.Add(path, "a service could take it for %s, which stands here too", spelled[header.Fold(name)])
		}
		spelled[header.Fold(name)] = name
	}
	for _, name := range slices.Sorted(maps.Keys(h.Set)) {
		check("set."+name, name)
		if value := h.Set[name]; strings.TrimSpace(value) != value || strings.ContainsFunc(value, notInField) {
			f.Add("set."+name, "has characters that a header cannot carry; use visible ASCII")
		}
	}
	for i, name := range h.Remove {
		check(fmt.Sprintf("remove[%d]", i), name)
	}
	return f
}

// notInField reports whether a header value must not hold the character (RFC 9110 §5.5, without obs-text).
func notInField(r rune) bool { return r < 0x20 && r != '\t' || r >= 0x7f }
