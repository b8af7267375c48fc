package storage

import (
	"path/filepath"
	"time"

	"wxgate/input"
	"wxgate/secret"
)

// The drivers, which Config.Driver names.
const (
	DriverBadger = "badger" // one process, a folder on a disk that persists
	DriverMySQL  = "mysql"  // any number of processes, a database
)

// Config is the section storage of gateway.yaml.
type Config struct {
	Driver         string         `yaml:"driver"`         // which store remembers; badger or mysql
	Replicas       int            `yaml:"replicas"`       // how many gateways share the users; more than one need mysql
	EncryptionKeys EncryptionKeys `yaml:"encryption_key"` // of session_keys; none: with badger, a key file is created beside the data
	Badger         Badger         `yaml:"badger"`         // the folder of driver: badger
	MySQL          MySQL          `yaml:"mysql"`          // the database of driver: mysql
	Backup         Backup         `yaml:"backup"`         // backups on a schedule
}

// Backup configures the backups that the process makes while it serves. Of several gateways on one database, one does.
type Backup struct {
	Every time.Duration `yaml:"every"` // how often; 0: never
	Dir   string        `yaml:"dir"`   // folder of the backups; created when there is none
	Keep  int           `yaml:"keep"`  // how many of the newest stay; older ones are deleted
}

// Badger configures the embedded store.
type Badger struct {
	Dir                 string `yaml:"dir"`                   // folder of the data; created on the first start, used by one process at a time
	AcceptSingleReplica bool   `yaml:"accept_single_replica"` // also where the environment says that there may be several gateways
	AcceptEphemeral     bool   `yaml:"accept_ephemeral"`      // also on a file system that ends with the machine or the container
}

// MySQL configures the store in a database of MySQL or MariaDB.
type MySQL struct {
	DSN          secret.Text   `yaml:"dsn"`           // user:password@tcp(host:3306)/database; several hosts: tcp(one:3306,two:3306)
	CA           string        `yaml:"ca"`            // file of the certificates that the server's must be signed by; empty: as the dsn says
	Connections  int           `yaml:"connections"`   // at most, of one process; one more follows revocations
	MaxStaleness time.Duration `yaml:"max_staleness"` // how old what is known of revocations may be before requests are 503
}

// maxBackups is more than anybody looks through.
const maxBackups = 10000

// maxConnections is more than any gateway needs.
const maxConnections = 1000

// DefaultConfig returns the meaning of an empty section.
func DefaultConfig() Config {
	return Config{
		Driver: DriverBadger, Replicas: 1, EncryptionKeys: EncryptionKeys{},
		Badger: Badger{Dir: "./data"}, MySQL: MySQL{Connections: 10, MaxStaleness: 10 * time.Second},
		Backup: Backup{Dir: "./backups", Keep: 7},
	}
}

// Validate reports every fault of the section but those of mysql.dsn, which the driver knows. It only looks: nothing is
// opened.
func (c Config) Validate() (f input.Faults) {
	f.OneOf("driver", c.Driver, DriverBadger, DriverMySQL)
	c.EncryptionKeys.validate(&f, "encryption_key")
	c.Backup.validate(&f)
	if c.Replicas < 1 {
		f.Add("replicas", "want 1 or more, got %d", c.Replicas)
	}
	switch c.Driver {
	case DriverBadger:
		if c.Replicas > 1 {
			f.Add("replicas", "badger is for one gateway, got %d: want driver: mysql", c.Replicas)
		}
		if c.Badger.Dir == "" {
			f.Add("badger.dir", "want a folder, got none")
		}
		if c.Backup.Every != 0 && isWithin(c.Backup.Dir, c.Badger.Dir) {
			f.Add("backup.dir", "is in storage.badger.dir, beside the data and their key: want a folder elsewhere, better on another disk")
		}
	case DriverMySQL:
		c.validateMySQL(&f)
	}
	return f
}

// Warnings are about what holds and may not be meant.
func (c Config) Warnings() (ws input.Warnings) {
	if c.Backup.Every == 0 && c.Backup.Dir != DefaultConfig().Backup.Dir {
		ws.Warn("backup-never", "backup.dir", "no backup is made without backup.every, such as every: 24h")
	}
	return ws
}

func (b Backup) validate(f *input.Faults) {
	if b.Every != 0 && (b.Every < time.Minute || b.Every > 31*24*time.Hour) {
		f.Add("backup.every", "want 1m to 744h, or 0 for never, got %v", b.Every)
	}
	if b.Every != 0 && b.Dir == "" {
		f.Add("backup.dir", "want a folder, got none")
	}
	if b.Keep < 1 || b.Keep > maxBackups {
		f.Add("backup.keep", "want 1 to %d, got %d", maxBackups, b.Keep)
	}
}

func (c Config) validateMySQL(f *input.Faults) {
	if keys, err := c.EncryptionKeys.Decode(); err == nil && len(keys) == 0 {
		f.Add("encryption_key", "want a key, the same for every gateway: openssl rand -base64 32")
	}
	if n := c.MySQL.Connections; n < 1 || n > maxConnections {
		f.Add("mysql.connections", "want 1 to %d, got %d", maxConnections, n)
	}
	if d := c.MySQL.MaxStaleness; d < time.Second || d > time.Hour {
		f.Add("mysql.max_staleness", "want 1s to 1h, got %v", d)
	}
}

// isWithin reports whether a folder is another one or lies in it, by their names.
func isWithin(dir, other string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if other, err = filepath.Abs(other); err != nil {
		return false
	}
	path, err := filepath.Rel(other, dir)
	return err == nil && filepath.IsLocal(path)
}
