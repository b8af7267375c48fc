package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
)

type backupCommand struct {
	quiet
	File string `arg:"" help:"The file to write. It appears once it is complete."`
}

// Run takes a backup of the running gateway, and reads it while it is written.
func (c backupCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s exists already", c.File)
	}
	var done backup.Summary
	began, users := time.Now(), int64(0)
	bar := newProgress(w.stderr, "users", c.Quiet)
	err := backup.WriteFile(c.File, func(file io.Writer) error {
		answer, err := client.send(ctx, http.MethodGet, "/api/store/backup", "", nil)
		if err != nil {
			return err
		}
		defer answer.Close()
		done, err = backup.Read(io.TeeReader(answer, file), func(r storage.Record) error {
			if r.Kind == storage.KindUser {
				users++
				bar.at(users, 0)
			}
			return nil
		})
		return err
	})
	bar.end()
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "%s has %s as of %s: %d MB in %v\nThe key that opens its secrets is not in it: keep that (check %v) somewhere else.\n", c.File,
		counted(done.Users(), "user", "users"), readableTime(done.At), info.Size()>>20, time.Since(began).Round(100*time.Millisecond), done.KeyChecks)
	return err
}

// loadable is a store that was opened to be filled.
type loadable interface {
	backup.Target
	Close() error
}

// openToLoad opens the store of the configuration to fill it.
func openToLoad(ctx context.Context, cfg storage.Config, log *slog.Logger, l storage.Loading) (loadable, error) {
	reg := prometheus.NewRegistry()
	if cfg.Driver == storage.DriverMySQL {
		s, err := mysql.OpenToLoad(ctx, cfg, reg, log, time.Now, l)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := badger.OpenToLoad(cfg, reg, log, time.Now, l)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// restoreFile fills the store of gateway.yaml with a backup.
func (c restoreCommand) restoreFile(ctx context.Context, w *env, log *slog.Logger) (err error) {
	cfg, err := config.LoadStorage(w.config, w.lookup)
	if err != nil {
		return err
	}
	found, err := backup.Verify(c.Path) // all of it, before anything is written
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	place := cfg.Badger.Dir
	if cfg.Driver == storage.DriverMySQL {
		place = mysql.Place(cfg.MySQL)
	}
	store, err := openToLoad(ctx, cfg, log, backup.Loading(found))
	if err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	file, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	done, err := backup.Restore(ctx, store, file, c.NextUserID, time.Now())
	if err != nil {
		return fmt.Errorf("restoring into %s; run it again to go on: %w", place, err)
	}
	c.report(w.stdout, badger.Restored{
		Latest: done.At, Users: done.Users, Ended: done.Ended, Banned: done.Banned, ID: done.ID,
	}, place)
	return nil
}
