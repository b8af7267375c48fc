package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/upstream"
)

// upstreams are the services of one configuration, by name.
type upstreams struct {
	all     map[string]*upstream.Upstream
	cfgs    map[string]upstream.Config
	metrics *upstream.Metrics
	log     *slog.Logger
	begun   []*upstream.Upstream             // those that were not taken over from the configuration before
	retired map[*upstream.Upstream]time.Time // those of configurations before, which a slow request may still turn to
}

func openUpstreams(cfgs map[string]upstream.Config, reg prometheus.Registerer, log *slog.Logger) (*upstreams, error) {
	none := &upstreams{metrics: upstream.NewMetrics(reg), log: log}
	u, err := none.next(cfgs)
	if err != nil {
		return nil, err
	}
	u.retired = make(map[*upstream.Upstream]time.Time)
	return u, nil
}

// next are the upstreams of another configuration, which must be valid. One that is known already is the same, and takes
// its section over when it becomes the next.
func (u *upstreams) next(cfgs map[string]upstream.Config) (*upstreams, error) {
	n := &upstreams{all: make(map[string]*upstream.Upstream, len(cfgs)), cfgs: maps.Clone(cfgs), metrics: u.metrics, log: u.log}
	for name, cfg := range cfgs {
		if same, known := u.all[name]; known {
			n.all[name] = same
			continue
		}
		opened, err := upstream.New(name, cfg, u.metrics, u.log)
		if err != nil {
			n.drop()
			return nil, fmt.Errorf("opening upstream %s: %w", name, err)
		}
		n.all[name] = opened
		n.begun = append(n.begun, opened)
	}
	return n, nil
}

// drop closes what next has opened and nobody will use.
func (u *upstreams) drop() {
	for _, opened := range u.begun {
		opened.Close()
	}
}

// retireAfter is how long a request may take from its beginning to the moment when it turns to its upstream: it may
// have to ask WeChat who it is from.
const retireAfter = time.Minute

// become makes u the next ones. Those that are no more end what they have in flight, and are closed by a later call.
func (u *upstreams) become(next *upstreams) error {
	now := time.Now()
	for old, since := range u.retired {
		if now.Sub(since) > retireAfter {
			old.Close()
			delete(u.retired, old)
		}
	}
	for name, old := range u.all {
		if next.all[name] != old {
			u.retired[old] = now
		}
	}
	var errs []error
	for name, cfg := range next.cfgs {
		if same := u.all[name]; same != nil && !reflect.DeepEqual(u.cfgs[name], cfg) {
			errs = append(errs, same.Reconfigure(cfg))
		}
	}
	u.all, u.cfgs = next.all, next.cfgs
	return errors.Join(errs...)
}

func (u *upstreams) close() error {
	for _, each := range u.all {
		each.Close()
	}
	for old := range u.retired {
		old.Close()
	}
	return nil
}
