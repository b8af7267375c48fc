package process

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/upstream"
)

// upstreams are the services of one configuration, by name.
type upstreams struct {
	all     map[string]*upstream.Upstream
	metrics *upstream.Metrics
	log     *slog.Logger
	changes []*upstream.Change   // of upstreams that are reused
	opened  []*upstream.Upstream // upstreams that the configuration before did not have
	retired []retiredUpstream    // the first one to close first
}

// retiredUpstream is one that the configuration in force does not have, which a slow request may still turn to.
type retiredUpstream struct {
	since time.Time
	close func() // at once; it waits until the upstream is closed
}

// retireAfter is how long after its start a request may still turn to its upstream: it may have to ask WeChat who sent
// it.
const retireAfter = time.Minute

// retire closes an upstream when no request turns to it any more.
func retire(old *upstream.Upstream) retiredUpstream {
	closed := sync.OnceFunc(old.Close)
	later := time.AfterFunc(retireAfter, closed)
	return retiredUpstream{time.Now(), func() {
		later.Stop()
		closed()
	}}
}

func openUpstreams(cfgs map[string]upstream.Config, reg prometheus.Registerer, log *slog.Logger) (*upstreams, error) {
	none := &upstreams{metrics: upstream.NewMetrics(reg), log: log}
	return none.next(cfgs)
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

// activate replaces the upstreams by the next ones. Those that are gone finish what is in flight, and close.
func (u *upstreams) activate(next *upstreams) error {
	u.retired = slices.DeleteFunc(u.retired, func(r retiredUpstream) bool { return time.Since(r.since) > retireAfter })
	for name, old := range u.all {
		if next.all[name] != old {
			u.retired = append(u.retired, retire(old))
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
	for _, old := range u.retired {
		old.close()
	}
	return nil
}
