package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
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

// wantKeysOf refuses a store whose keys do not open the secrets of a backup, before it is opened: that may make it.
func wantKeysOf(cfg storage.Config, of backup.Summary) error {
	keys, err := cfg.EncryptionKeys.Decode()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		key, err := badger.KeyOf(cfg.Badger)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the secrets of the backup are sealed with the key whose check is %v; make it storage.encryption_key, or put its file there as %s: %w",
				of.KeyChecks, badger.KeyFile(cfg.Badger), storage.ErrWrongKey)
		}
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	sealer, err := storage.NewSealer(keys...)
	if err != nil {
		return err
	}
	return storage.Header{KeyChecks: of.KeyChecks}.WantKeys(sealer)
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
	place := placeOf(cfg)
	if err := wantKeysOf(cfg, found); err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	file, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	done, err := backup.Restore(ctx, store, found, file, c.NextUserID, time.Now())
	if err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	c.report(w.stdout, badger.Restored{
		Latest: done.At, Users: done.Users, Ended: done.Ended, Banned: done.Banned, ID: done.ID,
	}, place, "start the gateway where nobody reaches it yet, and run wxgate users import --next-id")
	return nil
}
