package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/command/progress"
	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
)

type storeCommand struct {
	Copy   storeCopyCommand   `cmd:"" help:"Copy everything into another store, a folder or a database; tokens keep working."`
	Reseal storeResealCommand `cmd:"" help:"Seal every secret with the first of storage.encryption_key, so that the others can be removed."`
}

type storeResealCommand struct {
	output
	quiet
}

// Run seals every secret anew, page by page. It returns an error if one cannot be opened with any key.
func (c storeResealCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	var far storage.Resealed
	p := progress.New(w.stderr, "secrets", c.Quiet || c.JSON)
	defer p.End()
	client.stderr = p
	for !far.Done {
		if err := client.ask(ctx, http.MethodPost, "/api/store/reseal", nil, &far); err != nil {
			return fmt.Errorf("after %s; run it again: %w", counted(far.Seen, "secret", "secrets"), err)
		}
		p.At(int64(far.Seen), far.Share)
	}
	p.End()
	err := c.print(w.stdout, far, func(t *table) {
		line := fmt.Sprintf("%s, %d sealed anew", counted(far.Seen, "secret", "secrets"), far.Sealed)
		if far.Unreadable == 0 {
			line += ": only the first key of storage.encryption_key is needed from now on"
		}
		t.row(line)
	})
	if err == nil && far.Unreadable > 0 {
		err = fmt.Errorf("no key opens %s, which stayed as they are", counted(far.Unreadable, "secret", "secrets"))
	}
	return err
}

type storeCopyCommand struct {
	output
	quiet

	From string `required:"" placeholder:"FILE" help:"The configuration whose storage is copied, such as old.yaml."`
	To   string `required:"" placeholder:"FILE" help:"The configuration whose storage it is copied into, such as gateway.yaml. It is empty, or an earlier copy."`
}

// Run copies a data set from one store to another. It needs the section storage of both files alone.
func (c storeCopyCommand) Run(ctx context.Context, w *env) error {
	from, err := c.storage(w, "--from", c.From)
	if err != nil {
		return err
	}
	to, err := c.storage(w, "--to", c.To)
	if err != nil {
		return err
	}
	if placeOf(from) == placeOf(to) {
		return fmt.Errorf("--from and --to are the same store: %s", placeOf(from))
	}
	if from.Driver == storage.DriverBadger {
		if _, err := os.Stat(filepath.Join(from.Badger.Dir, "STORE")); err != nil { // opening it would make an empty one
			return fmt.Errorf("--from: there is no store in %s: %w", from.Badger.Dir, err)
		}
	}
	p := progress.New(w.stderr, "records", c.Quiet || c.JSON)
	return withStore(ctx, from, p, func(source *storage.Store) error {
		return withStore(ctx, to, p, func(target *storage.Store) error {
			done, err := c.copy(ctx, source, target, p)
			p.End()
			if err != nil {
				return fmt.Errorf("copying %s to %s: %w", placeOf(from), placeOf(to), err)
			}
			return c.report(w, done)
		})
	})
}

// storage reads the section of one of the two files.
func (storeCopyCommand) storage(w *env, flag, file string) (storage.Config, error) {
	cfg, err := config.LoadStorage(file, w.lookup)
	if err != nil {
		err = fmt.Errorf("%s: %w", flag, err)
	}
	return cfg, err
}

// placeOf is where a store is.
func placeOf(cfg storage.Config) string {
	if cfg.Driver == storage.DriverMySQL {
		return mysql.Place(cfg.MySQL)
	}
	dir, err := filepath.Abs(cfg.Badger.Dir)
	if err != nil {
		return cfg.Badger.Dir
	}
	return dir
}

// withStore opens a store and closes it.
func withStore(ctx context.Context, cfg storage.Config, p *progress.Bar, use func(*storage.Store) error) error {
	log := slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := openStore(ctx, cfg, log)
	switch {
	case errors.Is(err, storage.ErrLocked):
		return fmt.Errorf("%w; a gateway that runs on it has it: stop the gateway, and run this again", err)
	case err != nil:
		return err
	}
	return errors.Join(use(store), store.Close())
}

func openStore(ctx context.Context, cfg storage.Config, log *slog.Logger) (*storage.Store, error) {
	if cfg.Driver == storage.DriverMySQL {
		opened, err := mysql.Open(ctx, cfg, prometheus.NewRegistry(), log, time.Now)
		if err != nil {
			return nil, err
		}
		return opened.Store, nil
	}
	opened, err := badger.Open(cfg, prometheus.NewRegistry(), log, time.Now)
	if err != nil {
		return nil, err
	}
	return opened.Store, nil
}

// copy counts what there is to copy, and copies it.
func (storeCopyCommand) copy(ctx context.Context, from, to *storage.Store, p *progress.Bar) (storage.Copied, error) {
	var all int64
	if err := from.Snapshot(ctx, func(storage.Record) error { all++; return nil }); err != nil {
		return storage.Copied{}, err
	}
	return storage.Copy(ctx, from, to, func(records int64) { p.Of(all, records) })
}

// report prints what was copied. It returns an error if a secret was left out.
func (c storeCopyCommand) report(w *env, done storage.Copied) error {
	err := c.print(w.stdout, done, func(t *table) {
		var counts []string
		for _, kind := range storage.Kinds()[1:] {
			counts = append(counts, fmt.Sprintf("%d %s", done.Records[kind.String()], kind))
		}
		t.row("copied " + strings.Join(counts, ", "))
		if done.Differed > 0 {
			t.row(fmt.Sprintf("%s differed in the target and was replaced: %v", counted(int(done.Differed), "user", "users"), done.DifferedID))
		}
		if done.Erased > 0 {
			t.row(counted(int(done.Erased), "user", "users") + " erased since the last copy, in the target too")
		}
		t.row(fmt.Sprintf("both have %s; the checksum of ids and openids is %.16s", counted(int(done.Users), "user", "users"), done.Checksum))
	})
	if err == nil && done.Unreadable > 0 {
		err = fmt.Errorf("no key of the source opens %s, which were left out", counted(int(done.Unreadable), "secret", "secrets"))
	}
	return err
}
