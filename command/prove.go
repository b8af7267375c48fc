package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	"wxgate/config"
	"wxgate/prove"
)

type proveCommand struct {
	output

	URL string `arg:"" optional:"" placeholder:"URL" help:"Where clients reach the gateway, such as https://api.example.com (default: on this machine, by gateway.yaml)."`
	CA  string `name:"ca" placeholder:"FILE" help:"Authorities that its certificate may come from (default: those of this machine)."`
}

// proveTimeout is for all of it.
const proveTimeout = 5 * time.Minute

// Run attacks the gateway and prints a line about each kind of attack. The error says how many succeeded.
func (c proveCommand) Run(ctx context.Context, w *env) error {
	cfg, err := config.Load(w.config, w.lookup)
	if err != nil {
		return err
	}
	if cfg.Server.AdminToken == "" {
		return errors.New("server.admin_token is empty: by it the gateway knows who asks, and you know whom you attack; set it in both places")
	}
	g := prove.Gateway{Token: cfg.Server.AdminToken, Config: cfg.Gateway()}
	if g.URL, err = c.target(cfg); err != nil {
		return err
	}
	if g.Roots, err = c.roots(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		for _, t := range cfg.Upstreams[name].Targets {
			g.Services = append(g.Services, t.URL)
		}
	}
	slices.Sort(g.Services)
	g.Services = slices.Compact(g.Services) // upstreams may share one
	g.Here = isThisMachine(ctx, g.URL.Hostname())
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	findings, err := prove.Run(ctx, g)
	if err != nil {
		return err
	}
	return c.report(w, findings)
}

func (c proveCommand) report(w *env, findings []prove.Finding) error {
	failed := 0
	err := c.printColored(w, findings, func(t *table) {
		for _, f := range findings {
			t.row(string(f.Verdict), f.About, f.Got)
			t.row("", "", "sent: "+f.Sent)
			if f.Advice != "" {
				t.row("", "", "→ "+f.Advice)
			}
		}
	})
	for _, f := range findings {
		if f.Verdict == prove.Failed {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%s", counted(failed, "attack succeeded", "attacks succeeded"))
	}
	return err
}

// target is the URL, or that of the public listener on this machine.
func (c proveCommand) target(cfg config.Config) (*url.URL, error) {
	text := c.URL
	if text == "" {
		text = "http://" + dialable(cfg.Server.Listen)
		if cfg.Server.TLS.Enabled() {
			text = "https://" + dialable(cfg.Server.Listen)
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q is not http:// or https:// and a host, with nothing after it", text)
	}
	return u, nil
}

func (c proveCommand) roots() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca: %s has no certificate", c.CA)
	}
	return pool, nil
}

// isThisMachine reports whether a host is an address of this machine.
func isThisMachine(ctx context.Context, host string) bool {
	found, err := new(net.Resolver).LookupIPAddr(ctx, host)
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(found, func(a net.IPAddr) bool {
		return a.IP.IsLoopback() || slices.ContainsFunc(own, func(each net.Addr) bool {
			network, is := each.(*net.IPNet)
			return is && network.IP.Equal(a.IP)
		})
	})
}
