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

// noteNewKey notes the key that seals from now on, before it does.
func (d *mysqlDriver) noteNewKey(ctx context.Context) error {
	var noted storage.KeyChecks
	err := d.changeKeys(ctx, func(checks storage.KeyChecks) storage.KeyChecks {
		noted = checks.With(d.sealer)
		return noted
	})
	noted.Warn(d.log)
	return err
}

// SealedAnew notes that the first key is the only one that is needed.
func (d *mysqlDriver) SealedAnew(ctx context.Context) error {
	return d.changeKeys(ctx, func(storage.KeyChecks) storage.KeyChecks { return d.sealer.Checks()[:1] })
}

// changeKeys changes which keys secrets may be sealed with.
func (d *mysqlDriver) changeKeys(ctx context.Context, change func(storage.KeyChecks) storage.KeyChecks) error {
	return d.write(ctx, func(v *view) error {
		var was string
		if err := v.row("SELECT value FROM wxgate_meta WHERE name = 'key_check'"+v.lock, nil, &was); err != nil {
			return err
		}
		is := change(storage.ParseKeyChecks(was)).String()
		if is == was {
			return nil
		}
		return v.exec("UPDATE wxgate_meta SET value = ? WHERE name = 'key_check'", []byte(is))
	})
}
