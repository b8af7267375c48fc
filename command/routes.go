package command

import (
	"cmp"
	"strings"

	"wxgate/config"
	"wxgate/gateway"
)

type routesCommand struct {
	output
}

// Run lists every route and endpoint that the configuration makes; nothing needs to run.
func (c routesCommand) Run(w *env) error {
	cfg, err := config.LoadRouting(w.config, w.lookup)
	if err != nil {
		return err
	}
	all, err := gateway.Routes(cfg.Gateway())
	if err != nil {
		return err
	}
	return c.print(w.stdout, all, func(t *table) {
		t.row("HOST", "METHOD", "PATH", "AUTH", "TO", "RATE LIMIT", "BODY", "TIMEOUT")
		for _, r := range all {
			t.row(cmp.Or(r.Host, "*"), methodsOf(r), r.Path, r.Auth, r.To, cmp.Or(r.RateLimit, "-"), r.BodyLimit, r.Timeout)
		}
	})
}

func methodsOf(r gateway.RouteInfo) string { return cmp.Or(strings.Join(r.Methods, ","), "*") }
