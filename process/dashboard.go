package process

import (
	"slices"
	"sync"
	"time"

	"wxgate/config"
	"wxgate/gateway/admin/dashboard"
	"wxgate/storage"
	"wxgate/storage/mysql"
)

// maxReloads is how many attempts the dashboard shows.
const maxReloads = 20

// chronicle is what the dashboard shows of a process: the configuration in force, and how it came to be. It is safe for concurrent
// use.
type chronicle struct {
	mu      sync.Mutex
	process dashboard.Process
}

// begin records a start with cfg.
func (c *chronicle) begin(cfg config.Config, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := cfg.Storage.Badger.Dir
	if cfg.Storage.Driver == storage.DriverMySQL {
		place = mysql.Place(cfg.Storage.MySQL)
	}
	c.process = dashboard.Process{
		Version: version(), StartedAt: now, Driver: cfg.Storage.Driver, Place: place, BackupEvery: cfg.Storage.Backup.Every,
		Config:  dashboard.Config{YAML: cfg.Text()},
		Reloads: []dashboard.Reload{{At: now.UTC(), OK: true}},
	}
}

// readFrom records the file that the configuration was read from.
func (c *chronicle) readFrom(file string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process.Config.File = file
}

// reload records an attempt to take cfg over, which err refused unless it is nil.
func (c *chronicle) reload(cfg config.Config, err error, now time.Time) {
	attempt := dashboard.Reload{At: now.UTC(), OK: err == nil}
	if err != nil {
		attempt.Error = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process.Reloads = append([]dashboard.Reload{attempt}, c.process.Reloads[:min(len(c.process.Reloads), maxReloads-1)]...)
	if err == nil {
		c.process.Config.YAML = cfg.Text()
	}
}

// shown is what the dashboard shows.
func (c *chronicle) shown() dashboard.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := c.process
	shown.Reloads = slices.Clone(shown.Reloads)
	return shown
}
