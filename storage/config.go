package storage

import (
	"wxgate/input"
)

// driverBadger is the embedded store; it is the one driver that Config.Driver may name so far.
const driverBadger = "badger" // one process, a folder on a disk that persists

// Config is the section storage of gateway.yaml.
type Config struct {
	Driver         string         `yaml:"driver"`         // which store remembers; badger
	EncryptionKeys EncryptionKeys `yaml:"encryption_key"` // of session_keys; none: a key file is created beside the data
	Badger         Badger         `yaml:"badger"`
}

// Badger configures the embedded store.
type Badger struct {
	Dir string `yaml:"dir"` // folder of the data; created on the first start, used by one process at a time
}

// DefaultConfig returns the meaning of an empty section.
func DefaultConfig() Config {
	return Config{Driver: driverBadger, EncryptionKeys: EncryptionKeys{}, Badger: Badger{Dir: "./data"}}
}

// Validate reports every fault of the section. It only looks: nothing is opened.
func (c Config) Validate() (f input.Faults) {
	if c.Driver != driverBadger {
		f.Add("driver", "%q is not %s", c.Driver, driverBadger)
	}
	c.EncryptionKeys.validate(&f, "encryption_key")
	if c.Driver == driverBadger && c.Badger.Dir == "" {
		f.Add("badger.dir", "want a folder, got none")
	}
	return f
}
