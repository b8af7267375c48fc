package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"wxgate/config"
	"wxgate/input"
	"wxgate/process"
)

// serveSandbox serves a team's own gateway.yaml on loopback, with the sandbox in place of WeChat.
func serveSandbox(ctx context.Context, w *env) (err error) {
	w.queued(&w.stdout)
	stand, err := newStandIn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stand.close()) }()
	return stand.serve(ctx, w)
}

// serve serves the file with the sandbox, reloads it when it changes, and prints what to paste.
func (s *standIn) serve(ctx context.Context, w *env) error {
	queue := w.queued(&w.stderr)
	s.terminal = queue.Terminal()
	watcher := process.NewWatcher(w.config, func() (config.Config, error) { return s.load(w.config, w.lookup) })
	cfg, err := watcher.Read()
	if err != nil {
		return err
	}
	log := process.NewLogs(cfg.Log, queue)
	log.Warn("sandbox: anyone can log in as anyone; this is not a gateway for real users", "appid", sandboxAppID, "data", s.dir)
	svc, err := process.Open(ctx, cfg, log, tourist)
	if err != nil {
		return err
	}
	svc.FollowReloads(ctx, watcher, cfg)
	if err := s.print(w, svc.Address(), cfg); err != nil {
		return errors.Join(err, svc.Close())
	}
	return svc.Serve(ctx, nil)
}

// print says loudly that this is a sandbox, and what to paste.
func (s *standIn) print(w *env, address string, cfg config.Config) error {
	_, err := fmt.Fprintf(w.stdout, `
SANDBOX: %s with a stand-in for WeChat. Everybody can log in as anybody here, so only this machine is served.
Its appid, key and store are thrown away when it stops; the file's own, and its secrets of WeChat, are not used.
%s
Paste these into another terminal:

%s%s
Change %[1]s, and it is taken over. Stop with Ctrl-C.

`, w.config, s.remarks(cfg, address), curlLines(address, s.dir, cfg.Gateway(), callOf(cfg.Routes)), rehearsalLines(s.weChat.URL()))
	return err
}

// remarks says what differs from the file, and which real services the sandbox can reach. public is the address that
// the gateway listens on.
func (s *standIn) remarks(cfg config.Config, public string) string {
	var lines strings.Builder
	for _, written := range slices.Sorted(maps.Keys(s.addresses)) {
		actual := s.addresses[written]
		if actual == written {
			continue
		}
		if actual == cfg.Server.Listen && actual != cfg.Server.Admin {
			actual = public // its port may be another one
		}
		if host, free := strings.CutSuffix(actual, ":0"); free {
			actual = "a free port of " + host
		}
		fmt.Fprintf(&lines, "It listens on %s instead of %s.\n", actual, written)
	}
	for _, other := range remoteTargets(cfg) {
		fmt.Fprintf(&lines, "CAUTION: %s is another machine: it takes the sandbox users 1, 2, … for real ones.\n", other)
	}
	return lines.String()
}

// remoteTargets returns the targets that are on other machines.
func remoteTargets(cfg config.Config) []string {
	var others []string
	for name, up := range cfg.Upstreams {
		for _, t := range up.Targets {
			if u, err := url.Parse(t.URL); err == nil && u.Scheme != "unix" && !input.IsLoopback(u.Hostname()) {
				others = append(others, fmt.Sprintf("upstreams.%s (%s)", name, t.URL))
			}
		}
	}
	slices.Sort(others)
	return others
}
