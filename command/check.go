package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"wxgate/config"
	"wxgate/gateway"
)

type checkCommand struct{}

// Run reads the configuration and the files that it names as serve would, and reports errors and likely mistakes. It
// opens neither the store nor a socket.
func (checkCommand) Run(w *env) error {
	cfg, warnings, err := config.LoadWithFiles(w.config, w.lookup)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s is valid: %s, %s, listening on %s\n", w.config,
		counted(len(cfg.Routes), "route", "routes"), counted(len(cfg.Upstreams), "upstream", "upstreams"), cfg.Server.Listen)
	for _, warning := range warnings {
		text += "warning: " + warning.Error() + "\n"
	}
	for _, o := range config.Openings(cfg) {
		text += "warning: " + o.String() + "\n"
	}
	for _, c := range cfg.Gateway().Covered() {
		text += "note: " + c.String() + "\n"
	}
	_, err = io.WriteString(w.stdout, text)
	return err
}

type routesCommand struct {
	output
}

// Run lists every route and endpoint that the configuration results in; the gateway need not be running.
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
