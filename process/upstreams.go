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
	changes []*upstream.Change               // of those that were taken over
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
	n := &upstreams{all: make(map[string]*upstream.Upstream, len(cfgs)), metrics: u.metrics, log: u.log}
	for name, cfg := range cfgs {
		var err error
		if same, known := u.all[name]; known {
			err = n.take(name, same, cfg)
		} else {
			err = n.begin(name, cfg)
		}
		if err != nil {
			n.drop()
			return nil, err
		}
	}
	return n, nil
}

// take takes an upstream over and prepares its change. One whose section and files are as before stays as it is.
func (u *upstreams) take(name string, same *upstream.Upstream, cfg upstream.Config) error {
	u.all[name] = same
	change, err := same.Prepare(cfg)
	u.changes = append(u.changes, change)
	return err
}

func (u *upstreams) begin(name string, cfg upstream.Config) error {
	opened, err := upstream.New(name, cfg, u.metrics, u.log)
	if err != nil {
		return fmt.Errorf("opening upstream %s: %w", name, err)
	}
	u.all[name] = opened
	u.begun = append(u.begun, opened)
	return nil
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
