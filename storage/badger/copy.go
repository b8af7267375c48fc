package badger

import (
	"fmt"
	"time"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// isCopied reports whether the folder is a copy, as a restored backup is. In doubt it is not.
func (d *database) isCopied() bool {
	said, here := disk.ReadPlace(d.path(filePlace))
	return said != "" && here != "" && said != here
}

// wantRoomForCopy refuses a copy on a full disk before anything is changed: see endCopied.
func (d *database) wantRoomForCopy(copied bool) error {
	if free, needed, full := d.full(); copied && full {
		return fmt.Errorf("the folder is a copy and the disk has no room to note what that ends: %d MB are free, %d are needed: %w",
			free, needed, storage.ErrUnavailable)
	}
	return nil
}

// endCopied revokes the tokens that a copy cannot tell from those that the original has issued since: tokens of its
// last second, because times in tokens are whole seconds, and imported tokens, which name no epoch. It is on disk
// before the copy gets a place of its own, so a kill repeats it.
func (d *database) endCopied(reached counters) error {
	latest := time.UnixMilli(reached.Latest)
	err := d.update(func(v *view) error {
		if err := v.endEpoch(latest.Truncate(time.Second).Add(-time.Millisecond)); err != nil {
			return err
		}
		return endForeign(v, latest)
	})
	if err != nil {
		return fmt.Errorf("noting that the folder is a copy: %w", err)
	}
	d.log.Warn("THE DATA FOLDER IS A COPY: tokens that the original has issued since are refused, and so are those of its last "+
		"second and those of an existing backend from before this start. If it is a backup that was put back, stop and run "+
		"`wxgate restore`: it does not know the logouts, bans and erasures since",
		"dir", d.dir, "last_write", storage.Stamp(latest))
	return nil
}

// endForeign refuses the tokens of an existing backend, which have no session to end, that were issued until now, or until
// the last write if the clock is behind it.
func endForeign(v *view, latest time.Time) error {
	_, err := v.Revoke(storage.EndOfForeign(later(v.now, latest)))
	return err
}
