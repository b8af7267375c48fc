package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/config"
	"wxgate/config/audit"
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
	err, place := cmp.Or(err, audit.Unwritable(cfg.Dir)), backup.CheckPlace(cfg)
	switch {
	case place != nil:
		f.Err, f.Advice = place, "see docs/backup.md"
	case err != nil:
		f.Err, f.Advice = err, audit.FolderAdvice("storage.backup.dir")
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
	} else if f.Err = audit.Unwritable(cfg.Badger.Dir); f.Err != nil {
		f.Advice = audit.FolderAdvice("storage.badger.dir")
	}
	return f
}
