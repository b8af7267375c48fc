package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
)

// storageChecks are those of the store and its backups.
func storageChecks(cfg config.Config) []check {
	checks := []check{func(ctx context.Context) Finding { return storageFinding(ctx, cfg) }}
	if f := cfg.Storage.Warnings().At("storage"); len(f) > 0 {
		checks = append(checks, func(context.Context) Finding { return Finding{"storage settings", f.Err(), "see docs/backup.md"} })
	}
	if cfg.Storage.Backup.Every > 0 {
		checks = append(checks, func(context.Context) Finding { return backupFinding(cfg.Storage.Backup, time.Now()) })
	}
	return checks
}

// storageFinding looks at the store as serve would.
func storageFinding(ctx context.Context, cfg config.Config) Finding {
	if cfg.Storage.Driver == storage.DriverMySQL {
		return databaseFinding(ctx, cfg)
	}
	return folderFinding(cfg.Storage)
}

// backupFinding looks at the folder of backups, and at the age of the newest.
func backupFinding(cfg storage.Backup, now time.Time) Finding {
	f := Finding{About: "backup " + cfg.Dir}
	newest, found, err := backup.Newest(cfg.Dir, now)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // serve creates it
	}
	age := now.Sub(newest.At).Round(time.Minute)
	err, place := cmp.Or(err, wantWritable(cfg.Dir)), backup.CheckPlace(cfg)
	switch {
	case place != nil:
		f.Err, f.Advice = place, "see docs/backup.md"
	case err != nil:
		f.Err, f.Advice = err, backupAdvice
	case !found:
		f.Advice = "there is none yet; serve makes the first when it starts"
	case age > 2*cfg.Every:
		f.Err, f.Advice = fmt.Errorf("the newest is %v old", age), "look for `backup failed` in the log; another gateway of the same database may make them"
	default:
		f.Advice = fmt.Sprintf("%s is %v old", newest.Name, max(age, 0))
	}
	return f
}

// maxSkew is how far the clocks of gateways and of their database may differ.
const maxSkew = 2 * time.Second

// databaseFinding connects to the database and changes nothing.
func databaseFinding(ctx context.Context, cfg config.Config) Finding {
	f := Finding{About: "storage " + mysql.Place(cfg.Storage.MySQL)}
	keys, err := authn.KeyMaterials(cfg.Authn)
	if err != nil {
		f.Err, f.Advice = errors.New("the database was not looked at"), "see the line on keys"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := mysql.Inspect(ctx, cfg.Storage, keys)
	f.Advice = fmt.Sprintf("%s, schema %d of %d", found.Version, found.Schema, found.Known)
	if found.Galera {
		f.Advice += ", a node of Galera"
	}
	if found.Schema < found.Known {
		f.Advice += "; serve or `wxgate migrate up` applies the rest"
	}
	if !found.TLS {
		f.Advice += "; the connection is not encrypted (tls=true in the dsn)"
	}
	if unknown := cfg.WeChat.Unknown(found.AppIDs); len(unknown) > 0 {
		f.Advice += "; there are users of " + strings.Join(unknown, ", ") + ", which is none of the appids of the section wechat: they cannot log in"
	}
	switch {
	case err != nil:
		f.Err, f.Advice = err, "see docs/storage.md"
	case found.Skew.Abs() > maxSkew:
		f.Err, f.Advice = fmt.Errorf("our clock is %v off the server's", found.Skew.Round(time.Millisecond)), "run NTP on both"
	}
	return f
}

// folderFinding looks at the folder of the data, and creates a file in it.
func folderFinding(cfg storage.Config) Finding {
	f := Finding{About: "storage " + cfg.Badger.Dir, Advice: "the folder is writable"}
	if f.Err = cmp.Or(badger.CheckPlace(cfg.Badger), badger.Inspect(cfg)); f.Err != nil {
		f.Advice = "see docs/storage.md"
	} else if f.Err = wantWritable(cfg.Badger.Dir); f.Err != nil {
		f.Advice = dataAdvice
	}
	return f
}

// What to do about a folder that cannot be written to.
const (
	dataAdvice   = "set storage.badger.dir to a folder that the user of wxgate may write to"
	backupAdvice = "set storage.backup.dir to a folder that the user of wxgate may write to"
	cacheAdvice  = "set server.tls.acme.cache to a folder that the user of wxgate may write to"
)

// cacheError is why what an authority issues cannot be kept; nil: it can, or the database keeps it, or there is no authority.
func cacheError(cfg config.Config) error {
	if !cfg.Server.TLS.ACME.Enabled() || cfg.Storage.Driver == storage.DriverMySQL {
		return nil
	}
	return wantWritable(cfg.Server.TLS.ACME.Cache)
}

// FolderWarnings are about folders on this machine, in which serve could not write, or whose files would not last.
func FolderWarnings(all config.Config) (warnings []error) {
	cfg := all.Storage
	warn := func(err error, advice string) {
		if err != nil {
			warnings = append(warnings, fmt.Errorf("%w%s", err, advice))
		}
	}
	if cfg.Driver == storage.DriverBadger {
		warn(badger.CheckPlace(cfg.Badger), "; serve does not start there")
		warn(wantWritable(cfg.Badger.Dir), "; "+dataAdvice)
	}
	if cfg.Backup.Every > 0 {
		warn(backup.CheckPlace(cfg.Backup), "")
		warn(wantWritable(cfg.Backup.Dir), "; "+backupAdvice)
	}
	warn(cacheError(all), "; "+cacheAdvice)
	return warnings
}

// wantWritable creates a file in a folder, or where serve would create the folder.
func wantWritable(dir string) error {
	for parent := dir; ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		switch {
		case errors.Is(err, os.ErrNotExist) && parent != filepath.Dir(parent):
			continue // serve creates what is missing
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is not a folder", parent)
		case err != nil:
			return err
		}
		probe, err := os.CreateTemp(parent, ".wxgate-probe-")
		if err != nil {
			return err
		}
		return errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
}
