package mysql

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage"
)

// newSealer readies the sealer with the configured keys.
func newSealer(configured storage.EncryptionKeys) (*storage.Sealer, error) {
	keys, err := configured.Decode()
	if err == nil && len(keys) == 0 {
		err = errors.New("want a key, the same for every gateway")
	}
	if err != nil {
		return nil, fmt.Errorf("storage.encryption_key: %w", err)
	}
	return storage.NewSealer(keys...)
}

// The row key_check of wxgate_meta is the text of storage.KeyChecks.

// wantKeys refuses keys that do not open every secret.
func wantKeys(checks string, sealer *storage.Sealer) error {
	return storage.ParseKeyChecks(checks).Want(sealer,
		"storage.encryption_key is not the one that the data were sealed with; the data are intact: put the old key back")
}

// settleKeys refuses keys that do not open every secret.
func (d *mysqlDriver) settleKeys(ctx context.Context) error {
	checks, err := d.settle(ctx, "key_check", "")
	if err != nil {
		return err
	}
	if err := wantKeys(checks, d.sealer); err != nil {
		return err
	}
	storage.ParseKeyChecks(checks).With(d.sealer).Warn(d.log)
	return nil
}

// noteKey notes the key that seals, in the transaction of the first secret that this process seals.
func noteKey(v *view) error {
	if v.keyNoted || v.driver.keyNoted.Load() {
		return nil
	}
	return changeKeys(v, func(was string) (string, error) {
		v.keyNoted = true
		if err := wantKeys(was, v.driver.sealer); err != nil { // another process has sealed since we opened
			return "", err
		}
		return storage.ParseKeyChecks(was).With(v.driver.sealer).String(), nil
	})
}

// SealedAnew notes that the first key is the only one that is needed.
func (d *mysqlDriver) SealedAnew(ctx context.Context) error {
	return d.write(ctx, func(v *view) error {
		return changeKeys(v, func(string) (string, error) { return d.sealer.Checks()[0], nil })
	})
}

// changeKeys changes which keys secrets may be sealed with, as the text of storage.KeyChecks.
func changeKeys(v *view, change func(was string) (is string, err error)) error {
	var was string
	if err := v.row("SELECT value FROM wxgate_meta WHERE name = 'key_check'"+v.lock, nil, &was); err != nil {
		return err
	}
	is, err := change(was)
	if err != nil || is == was {
		return err
	}
	return v.exec("UPDATE wxgate_meta SET value = ? WHERE name = 'key_check'", []byte(is))
}
