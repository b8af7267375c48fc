package backup

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// Schedule makes backups into a folder while a gateway serves.
type Schedule struct {
	cfg     storage.Backup
	store   *storage.Store
	lease   *storage.Lease
	log     *slog.Logger
	now     func() time.Time
	free    func(dir string) (uint64, error)
	success prometheus.Gauge
	failed  prometheus.Counter
	retry   time.Time // not before, after a failure
}

const (
	leaseName  = "backup"
	leaseFor   = 10 * time.Minute // after which another gateway takes over
	lookEvery  = time.Minute
	retryAfter = 15 * time.Minute
)

// NewSchedule returns a schedule whose metrics are registered with reg, also when backups are off.
func NewSchedule(cfg storage.Backup, store *storage.Store, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Schedule, error) {
	s := &Schedule{
		cfg: cfg, store: store, lease: storage.NewLease(store, leaseName, leaseFor), log: log, now: now, free: freeOf,
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wxgate_backup_last_success_timestamp_seconds",
			Help: "When the newest backup in storage.backup.dir began, in Unix time; 0: there is none.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wxgate_backup_failures_total",
			Help: "Backups of storage.backup that failed.",
		}),
	}
	return s, errors.Join(reg.Register(s.success), reg.Register(s.failed))
}

func freeOf(dir string) (uint64, error) {
	space, err := disk.SpaceOf(dir)
	return space.Free, err
}

// Run makes backups until ctx ends. A backup that fails is logged, counted, and tried again.
func (s *Schedule) Run(ctx context.Context) {
	if s.cfg.Every == 0 {
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = s.lease.Release(releasing) // another takes it when it ends
			return
		case <-ticker.C:
		}
	}
}

// look makes a backup if one is due, and it is for this gateway to make.
func (s *Schedule) look(ctx context.Context) {
	err := s.lease.Take(ctx)
	if errors.Is(err, storage.ErrLeased) || ctx.Err() != nil {
		return
	}
	now := s.now()
	_, newest, listErr := Newest(s.cfg.Dir)
	if !newest.IsZero() {
		s.success.Set(float64(newest.Unix()))
	}
	if listErr == nil && now.Before(newest.Add(s.cfg.Every)) && !newest.After(now) || now.Before(s.retry) {
		return
	}
	if err == nil {
		err = s.make(ctx, now)
	}
	if err != nil && ctx.Err() == nil {
		s.failed.Inc()
		s.retry = now.Add(min(s.cfg.Every, retryAfter))
		s.log.Error("backup failed", "error", err, "dir", s.cfg.Dir, "again_in", s.retry.Sub(now).String())
	}
}

// make writes one backup.
func (s *Schedule) make(ctx context.Context, now time.Time) error {
	began := time.Now()
	path, done, err := toDir(ctx, s.cfg, s.store, now, s.free)
	if path == "" {
		return err
	}
	s.success.Set(float64(now.Unix()))
	size := int64(0)
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	s.log.Info("backup", "file", filepath.Base(path), "users", done.Users(), "bytes", size, "took", time.Since(began).Round(time.Millisecond).String())
	return err // of deleting old ones
}
