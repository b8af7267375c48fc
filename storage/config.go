package storage

import (
	"wxgate/input"
	"wxgate/secret"
)

// driverBadger is the embedded store; it is the one driver that Config.Driver may name so far.
const driverBadger = "badger" // one process, a folder on a disk that persists

// Config is the section storage of gateway.yaml.
type Config struct {
	Driver        string      `yaml:"driver"`         // which store remembers; badger
	EncryptionKey secret.Text `yaml:"encryption_key"` // seals session_keys; empty: a key file is created beside the data
	Badger        Badger      `yaml:"badger"`
}

// Badger configures the embedded store.
type Badger struct {
	Dir string `yaml:"dir"` // folder of the data; created on the first start, used by one process at a time
}

// DefaultConfig returns the meaning of an empty section.
func DefaultConfig() Config {
	return Config{Driver: driverBadger, Badger: Badger{Dir: "./data"}}
}

// Validate reports every fault of the section. It only looks: nothing is opened.
func (c Config) Validate() (f input.Faults) {
	if c.Driver != driverBadger {
		f.Add("driver", "%q is not %s", c.Driver, driverBadger)
	}
	if _, err := DecodeKey(c.EncryptionKey); err != nil && !c.EncryptionKey.IsBlank() {
		f.Add("encryption_key", "%v", err)
	}
	if c.Driver == driverBadger && c.Badger.Dir == "" {
		f.Add("badger.dir", "want a folder, got none")
	}
	return f
}
