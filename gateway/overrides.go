package gateway

import (
	"fmt"
	"slices"

	"wxgate/input"
)

// Warnings are about routes that take the place of an endpoint of ours: that is how a team keeps its own, and how it loses
// logins by mistake. c must be valid.
func (c Config) Warnings() (f input.Faults) {
	endpoints := (&Gateway{fiber: new(fiberAdapter)}).endpoints(&snapshot{cfg: c, push: nil})
	for i, r := range c.Routes {
		to := r.Upstream
		if to == "" {
			to = "a fixed answer"
		}
		for _, e := range endpoints {
			taken := r.Path == e.path && (len(r.Methods) == 0 || slices.Contains(r.Methods, e.method))
			if taken && !e.off(c) && e.class != classHealth {
				f.Add(fmt.Sprintf("routes[%d].path", i), "%s %s goes to %s, and the gateway's own endpoint is not reached", e.method, e.path, to)
			}
		}
	}
	return f
}
