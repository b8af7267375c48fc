package backup

import (
	"context"
	"errors"
	"fmt"
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
	folder
	store   *storage.Store
	lease   *storage.Lease
	now     func() time.Time
	success prometheus.Gauge
	failed  prometheus.Counter
	made    time.Time // when this process began its last one: a name does not hold an interval if the clock is put back
	retry   time.Time // not before, after a failure
	ahead   string    // the backup of the future that was warned about
}

const (
	leaseName  = "backup"
	leaseFor   = 10 * time.Minute // after which another gateway takes over
	lookEvery  = time.Minute
	retryAfter = 15 * time.Minute
)

// CheckPlace refuses a folder on a file system that ends with the machine or the container. It need not exist yet.
func CheckPlace(cfg storage.Backup) error {
	if why := disk.Ephemeral(cfg.Dir); why != "" {
		return fmt.Errorf("storage.backup.dir: %s is on %s: the backups would be lost with it. Mount a disk or a volume there", cfg.Dir, why)
	}
	return nil
}

// NewSchedule returns a schedule whose metrics are registered with reg, also when backups are off.
func NewSchedule(cfg storage.Backup, store *storage.Store, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Schedule, error) {
	s := &Schedule{
		folder: folder{Backup: cfg, storeID: store.ID(), free: freeOf, log: log},
		store:  store, lease: storage.NewLease(store, leaseName, leaseFor), now: now,
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
	if s.Every == 0 {
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
	now := s.now()
	newest, listErr := s.newest(now)
	err := s.lease.Take(ctx)
	if errors.Is(err, storage.ErrLeased) || ctx.Err() != nil {
		return
	}
	if now.Before(s.retry) || now.Before(s.made.Add(s.Every)) || listErr == nil && now.Before(newest.Add(s.Every)) {
		return
	}
	if err == nil {
		err = s.make(ctx, now)
	}
	if err != nil && ctx.Err() == nil {
		s.failed.Inc()
		s.retry = now.Add(min(s.Every, retryAfter))
		s.log.Error("backup failed", "error", err, "dir", s.Dir, "again_in", s.retry.Sub(now).String())
	}
}

// newest returns when the newest backup began, zero: there is none. Those of the future do not count.
func (s *Schedule) newest(now time.Time) (at time.Time, err error) {
	past, future, err := s.own(now)
	if len(future) > 0 {
		s.warn(future[len(future)-1].Name)
	}
	if len(past) > 0 {
		at = past[len(past)-1].At
		s.success.Set(float64(at.Unix()))
	}
	return at, err
}

// warn tells once of a backup whose name is of the future.
func (s *Schedule) warn(ahead string) {
	if ahead != s.ahead {
		s.log.Warn("backup of the future: the clock was ahead when it was made; it is kept and does not count", "file", ahead, "dir", s.Dir)
		s.ahead = ahead
	}
}

// make writes one backup.
func (s *Schedule) make(ctx context.Context, now time.Time) error {
	began := time.Now()
	path, done, err := s.write(ctx, s.store, now)
	if err != nil {
		return err
	}
	s.made = now
	s.success.Set(float64(now.Unix()))
	size := int64(0)
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	s.log.Info("backup", "file", filepath.Base(path), "users", done.Users(), "bytes", size, "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}
