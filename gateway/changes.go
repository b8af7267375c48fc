package gateway

import (
	"maps"
	"slices"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/header"
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
