package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// The row key_check of wxgate_meta has the check of every key that secrets may be sealed with, separated by commas, the
// newest first.

// wantKeys refuses keys that do not open every secret.
func wantKeys(checks string, sealer *storage.Sealer) error {
	needed := strings.Split(checks, ",")
	missing := slices.DeleteFunc(slices.Clone(needed), func(check string) bool { return slices.Contains(sealer.Checks(), check) })
	switch {
	case len(missing) == 0:
		return nil
	case len(needed) == 1:
		return fmt.Errorf("storage.encryption_key is not the one that the data were sealed with; the data are intact: put the old key back: %w", storage.ErrWrongKey)
	}
	return fmt.Errorf("secrets are sealed with %d keys and storage.encryption_key has %d of them; list them all, and run `wxgate store "+
		"reseal` before you remove one: %w", len(needed), len(needed)-len(missing), storage.ErrWrongKey)
}

// noteNewKey notes the key that seals from now on, before it does.
func (d *mysqlDriver) noteNewKey(ctx context.Context) error {
	needed := 0
	err := d.changeKeys(ctx, func(checks []string) []string {
		if first := d.sealer.Checks()[0]; !slices.Contains(checks, first) {
			checks = append([]string{first}, checks...)
		}
		needed = len(checks)
		return checks
	})
	if needed > 1 {
		d.log.Warn("secrets may be sealed with more than the first of storage.encryption_key; run `wxgate store reseal` before you remove one", "keys", needed)
	}
	return err
}

// SealedAnew notes that the first key is the only one that is needed.
func (d *mysqlDriver) SealedAnew(ctx context.Context) error {
	return d.changeKeys(ctx, func([]string) []string { return d.sealer.Checks()[:1] })
}

// changeKeys changes which keys secrets may be sealed with.
func (d *mysqlDriver) changeKeys(ctx context.Context, change func(checks []string) []string) error {
	return d.write(ctx, func(v *view) error {
		var was string
		if err := v.row("SELECT value FROM wxgate_meta WHERE name = 'key_check'"+v.lock, nil, &was); err != nil {
			return err
		}
		is := strings.Join(change(strings.Split(was, ",")), ",")
		if is == was {
			return nil
		}
		return v.exec("UPDATE wxgate_meta SET value = ? WHERE name = 'key_check'", []byte(is))
	})
}
