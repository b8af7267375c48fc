package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// reloader takes over a changed gateway.yaml while requests are served. So far that is authn.algorithm and authn.keys;
// whatever else has changed needs a restart, and the log says so.
type reloader struct {
	service *service
	load    func() (Config, error)
	running Config
	well    prometheus.Gauge
}

func newReloader(s *service, cfg Config, load func() (Config, error)) *reloader {
	well := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_config_last_reload_successful", Help: "1 when the last reload, or the start, took the configuration over; 0 when it was refused.",
	})
	s.metrics.MustRegister(well)
	well.Set(1)
	return &reloader{service: s, load: load, running: cfg, well: well}
}

// follow reloads at every SIGHUP until ctx ends.
func (r *reloader) follow(ctx context.Context) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if err := r.reload(); err != nil {
				r.well.Set(0)
				r.service.log.Error("reload refused, the running configuration stays", "error", err)
				continue
			}
			r.well.Set(1)
		}
	}
}

// reload reads the configuration again. A fault in it changes nothing.
func (r *reloader) reload() error {
	cfg, err := r.load()
	if err != nil {
		return err
	}
	if err := r.service.authn.SetKeys(cfg.Authn.Algorithm, cfg.Authn.Keys); err != nil {
		return fmt.Errorf("taking over the keys: %w", err)
	}
	r.running.Authn.Algorithm, r.running.Authn.Keys = cfg.Authn.Algorithm, cfg.Authn.Keys
	r.service.log.Info("reloaded", "keys", len(cfg.Authn.Keys), "restart_needed", !reflect.DeepEqual(cfg, r.running))
	return nil
}
