package process

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/upstream"
)

// upstreams are the services of one configuration, by name.
type upstreams struct {
	all     map[string]*upstream.Upstream
	metrics *upstream.Metrics
	log     *slog.Logger
	changes []*upstream.Change               // of upstreams that are reused
	opened  []*upstream.Upstream             // upstreams that the configuration before did not have
	retired map[*upstream.Upstream]time.Time // upstreams of earlier configurations that a slow request may still turn to, and since when
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

// next opens the upstreams of another configuration, which must be valid. An upstream that exists already is reused,
// and takes over its section in activate.
func (u *upstreams) next(cfgs map[string]upstream.Config) (*upstreams, error) {
	n := &upstreams{all: make(map[string]*upstream.Upstream, len(cfgs)), metrics: u.metrics, log: u.log}
	for name, cfg := range cfgs {
		var err error
		if same, known := u.all[name]; known {
			err = n.reuse(name, same, cfg)
		} else {
			err = n.open(name, cfg)
		}
		if err != nil {
			n.discard()
			return nil, err
		}
	}
	return n, nil
}

// reuse prepares the change of an upstream that exists. One whose section and files are as before stays as it is.
func (u *upstreams) reuse(name string, same *upstream.Upstream, cfg upstream.Config) error {
	u.all[name] = same
	change, err := same.Prepare(cfg)
	u.changes = append(u.changes, change)
	return err
}

func (u *upstreams) open(name string, cfg upstream.Config) error {
	opened, err := upstream.New(name, cfg, u.metrics, u.log)
	if err != nil {
		return fmt.Errorf("opening upstream %s: %w", name, err)
	}
	u.all[name] = opened
	u.opened = append(u.opened, opened)
	return nil
}

// discard closes the upstreams that next opened and nobody will use.
func (u *upstreams) discard() {
	for _, opened := range u.opened {
		opened.Close()
	}
}

// retireAfter is how long after its start a request may still turn to its upstream: it may have to ask WeChat who sent
// it.
const retireAfter = time.Minute

// activate replaces the upstreams by the next ones. Those that are gone finish what is in flight; a later call closes
// them.
func (u *upstreams) activate(next *upstreams) error {
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
	for _, change := range next.changes {
		errs = append(errs, change.Apply())
	}
	u.all = next.all
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
