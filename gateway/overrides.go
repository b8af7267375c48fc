package gateway

import (
	"fmt"
	"slices"
)

// Overrides are warnings on routes that take the place of an endpoint of ours, each beginning with its key's path: that
// is how a team keeps its own, and how it loses logins by mistake. c must be valid.
func (c Config) Overrides() []error {
	var found []error
	endpoints := new(Gateway).endpoints(&rules{cfg: c, push: nil})
	for i, r := range c.Routes {
		to := r.Upstream
		if to == "" {
			to = "a fixed answer"
		}
		for _, e := range endpoints {
			taken := r.Path == e.path && (len(r.Methods) == 0 || slices.Contains(r.Methods, e.method))
			if taken && !e.off(c) && e.class != classHealth {
				found = append(found, fmt.Errorf("routes[%d].path: %s %s goes to %s, and the gateway's own endpoint is not reached", i, e.method, e.path, to))
			}
		}
	}
	return found
}
