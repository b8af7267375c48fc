package badger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// creation is a folder whose sentinel and key are being found or created.
type creation struct{ *database }

// identify reads the sentinel, or makes a new store when the folder holds none.
func (c creation) identify(configured storage.EncryptionKeys) (disk.Sentinel, error) {
	known, err := disk.ReadSentinel(c.path(fileSentinel))
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return disk.Sentinel{}, err
	}
	if isNew && disk.Exists(c.path(dirBadger)) {
		return disk.Sentinel{}, fmt.Errorf("%s exists but %s is missing: %w",
			c.path(dirBadger), c.path(fileSentinel), storage.ErrDamaged)
	}
	if isNew {
		if err := c.wantRoom(); err != nil {
			return disk.Sentinel{}, err
		}
	}
	if err := c.unlockSeal(configured, isNew); err != nil {
		return disk.Sentinel{}, err
	}
	if isNew {
		known = disk.NewSentinel(c.sealer.Checks()[0], storage.Stamp(c.now()))
		return known, c.create(known)
	}
	if err := c.finishCreation(known); err != nil {
		return known, err
	}
	return c.noteNewKey(known)
}

// unlockSeal readies the sealer with the configured keys or that of the key file.
func (c creation) unlockSeal(configured storage.EncryptionKeys, isNew bool) error {
	keys, err := configured.Decode()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		key, err := disk.EncryptionKey(c.path(fileKey), isNew)
		if err != nil {
			return err
		}
		keys = append(keys, key)
		disk.WarnReadable(c.log, c.path(fileKey))
	}
	c.sealer, err = storage.NewSealer(keys...)
	return err
}

// noteNewKey notes the key that seals from now on, before it does.
func (c creation) noteNewKey(known disk.Sentinel) (disk.Sentinel, error) {
	if next := known.WithKeyChecks(known.KeyChecks().With(c.sealer)); next != known {
		if err := next.Write(c.path(fileSentinel)); err != nil {
			return known, fmt.Errorf("noting the new encryption key: %w", err)
		}
		known = next
	}
	known.KeyChecks().Warn(c.log)
	return known, nil
}

// create creates the database under a temporary name, then the sentinel, and then renames the database. Before the
// sentinel exists nothing was promised; afterwards finishCreation completes it.
func (c creation) create(known disk.Sentinel) error {
	draft := c.path(dirDraft)
	if err := os.RemoveAll(draft); err != nil {
		return err
	}
	if err := c.draft(draft, known.ID); err != nil {
		return err
	}
	if err := known.Write(c.path(fileSentinel)); err != nil {
		return err
	}
	return c.finishCreation(known)
}

// draft creates a database that contains its id.
func (c creation) draft(dir, id string) error {
	e := newEngine(dir, c.log)
	if err := e.open(false); err != nil {
		return err
	}
	err := c.updateIn(e, func(v *view) error { return v.put(keyStoreID, []byte(id)) })
	return errors.Join(err, e.close())
}

// wantKeys refuses keys that do not open every secret.
func (c creation) wantKeys(known disk.Sentinel) error {
	return known.KeyChecks().Want(c.sealer,
		fmt.Sprintf("the encryption key (storage.encryption_key or %s) is not the one the data were sealed with", c.path(fileKey)))
}

// SealedAnew notes that the first key is the only one that is needed.
func (d *driver) SealedAnew(ctx context.Context) error {
	return d.write(ctx, func(*view) error {
		known, err := disk.ReadSentinel(d.path(fileSentinel))
		if err != nil || len(known.KeyChecks()) == 1 {
			return err
		}
		return known.WithKeyChecks(d.sealer.Checks()[:1]).Write(d.path(fileSentinel))
	})
}

// SetID replaces the id in the sentinel and in the database. The sentinel has both while the database may have either.
func (d *driver) SetID(ctx context.Context, id string) error {
	err := d.write(ctx, func(v *view) error {
		known, err := disk.ReadSentinel(d.path(fileSentinel))
		if err != nil {
			return err
		}
		known.NextID, known.Renamed = id, true
		return errors.Join(known.Write(d.path(fileSentinel)), v.put(keyStoreID, []byte(id)))
	})
	if err != nil {
		return err
	}
	return d.write(ctx, func(*view) error {
		known, err := disk.ReadSentinel(d.path(fileSentinel))
		if err != nil {
			return err
		}
		d.id = id
		return known.WithNextID().Write(d.path(fileSentinel))
	})
}

// finishCreation renames the database of a new store, and checks that the key is the store's.
func (c creation) finishCreation(known disk.Sentinel) error {
	if err := c.wantKeys(known); err != nil {
		return err
	}
	if disk.Exists(c.path(dirBadger)) || !disk.Exists(c.path(dirDraft)) {
		return nil
	}
	if _, err := disk.Inspect(c.path(dirDraft), ourRecords()); err != nil {
		return err
	}
	if err := os.Rename(c.path(dirDraft), c.path(dirBadger)); err != nil {
		return err
	}
	return disk.SyncDir(c.dir)
}
