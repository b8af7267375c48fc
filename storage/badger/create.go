package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// creation is a folder whose sentinel and key are being found or created.
type creation struct{ *database }

// identify reads the sentinel, or makes a new store when the folder holds none.
func (c creation) identify(configured secret.Text) (disk.Sentinel, error) {
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
		known = disk.NewSentinel(c.sealer.Check(), storage.Stamp(c.now()))
		err = c.create(known)
	} else {
		err = c.finishCreation(known)
	}
	return known, err
}

// unlockSeal readies the sealer with the configured key or that of the key file.
func (c creation) unlockSeal(configured secret.Text, isNew bool) error {
	key, err := disk.EncryptionKey(configured, c.path(fileKey), isNew)
	if err != nil {
		return err
	}
	if configured.IsBlank() {
		disk.WarnReadable(c.log, c.path(fileKey))
	}
	c.sealer, err = storage.NewSealer(key)
	return err
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

// finishCreation renames the database of a new store, and checks that the key is the store's.
func (c creation) finishCreation(known disk.Sentinel) error {
	if known.KeyCheck != c.sealer.Check() {
		return fmt.Errorf("the encryption key (storage.encryption_key or %s) is not the one the data were sealed with: %w",
			c.path(fileKey), storage.ErrWrongKey)
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
