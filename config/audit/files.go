package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wxgate/config"
	"wxgate/input"
	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
)

// files are warnings about certificates, as of a time. Those that cannot be read are faults elsewhere.
func files(cfg config.Config, now time.Time) (ws input.Warnings) {
	if certificates, faults := cfg.Server.TLS.Load(); len(faults) == 0 {
		ws = append(ws, certificates.Warnings(now, cfg.Gateway().Hosts()).At("server.tls")...)
	}
	if certificates, faults := cfg.Server.AdminTLS.Config().Load(); len(faults) == 0 {
		ws = append(ws, certificates.Warnings(now, nil).At("server.admin_tls")...)
	}
	if merchants, faults := cfg.Gateway().Merchants(); len(faults) == 0 {
		ws = append(ws, merchants.Warnings(now)...)
	}
	return ws
}

// folders are warnings about folders on this machine in which serve could not write, or whose files would not last.
func folders(cfg config.Config) (ws input.Warnings) {
	warn := func(id, key string, err error, advice string) {
		if err != nil {
			ws.Warn(id, key, "%s%s", strings.TrimPrefix(err.Error(), key+": "), advice)
		}
	}
	store := cfg.Storage
	if store.Driver == storage.DriverBadger {
		warn("data-ephemeral", "storage.badger.dir", badger.CheckPlace(store.Badger), "; serve does not start there")
		warn("data-unwritable", "storage.badger.dir", Unwritable(store.Badger.Dir), "; "+FolderAdvice("storage.badger.dir"))
	}
	if store.Backup.Every > 0 {
		warn("backup-ephemeral", "storage.backup.dir", backup.CheckPlace(store.Backup), "")
		warn("backup-unwritable", "storage.backup.dir", Unwritable(store.Backup.Dir), "; "+FolderAdvice("storage.backup.dir"))
	}
	warn("acme-unwritable", "server.tls.acme.cache", UnwritableCache(cfg), "; "+FolderAdvice("server.tls.acme.cache"))
	return ws
}

// FolderAdvice is what to do about a folder that cannot be written to.
func FolderAdvice(key string) string {
	return fmt.Sprintf("set %s to a folder that the user of wxgate may write to", key)
}

// UnwritableCache is why what an authority issues cannot be kept; nil: it can, or the database keeps it, or there is no
// authority.
func UnwritableCache(cfg config.Config) error {
	if !cfg.Server.TLS.ACME.Enabled() || cfg.Storage.Driver == storage.DriverMySQL {
		return nil
	}
	return Unwritable(cfg.Server.TLS.ACME.Cache)
}

// Unwritable is why no file can be created in a folder, or where serve would create the folder; nil: one can.
func Unwritable(dir string) error {
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
