package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"wxgate/storage"
)

// Revocations returns at most limit of those with a Seq above after. A number is taken under a lock that lasts until its
// commit, so a reader that goes on from the last Seq it saw misses none.
func (v *view) Revocations(after uint64, limit int) (found []storage.Revocation, err error) {
	const query = "SELECT seq, record FROM wxgate_revocations WHERE seq > ? ORDER BY seq LIMIT ?"
	var text sql.RawBytes
	err = v.rows(query, []any{after, limit}, func(scan func(...any) error) error {
		var seq uint64
		if err := scan(&seq, &text); err != nil {
			return err
		}
		var r storage.Revocation
		err := decode(text, &r)
		found = append(found, r)
		return err
	})
	return found, err
}

// Revoke gives the revocation the next Seq and records it.
func (v *view) Revoke(r storage.Revocation) (storage.Revocation, error) {
	c, err := v.counter(countedRevocations)
	if err != nil {
		return storage.Revocation{}, err
	}
	c.is++
	r.Seq = c.is
	text, err := json.Marshal(r)
	if err != nil {
		return storage.Revocation{}, err
	}
	return r, v.exec("INSERT INTO wxgate_revocations (seq, until_ms, record) VALUES (?, ?, ?)", r.Seq, r.Until.UnixMilli(), text)
}

// DropRevocation deletes a revocation that a newer one makes needless.
func (v *view) DropRevocation(seq uint64) {
	v.err = errors.Join(v.err, v.exec("DELETE FROM wxgate_revocations WHERE seq = ?", seq))
}

// followWait is how long one Follow takes at most.
const followWait = 1500 * time.Millisecond

// Follow returns at most limit of the revocations with a Seq above after, as Revocations does, from any process, and learns
// how far their epochs have come. Of a data set that is not the one that was opened any more it says ErrReplaced. It has a connection of its own, half a second for each answer, and followWait for all.
// It does not try again: its caller comes back.
func (s *Store) Follow(ctx context.Context, after uint64, limit int) (found []storage.Revocation, err error) {
	d := s.driver
	if d.closed.Load() {
		return nil, errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, followWait)
	defer cancel()
	err = d.withConn(ctx, d.feed, func(conn *sql.Conn) error {
		v := d.newView(ctx, conn)
		if found, err = v.Revocations(after, limit); err != nil {
			return err
		}
		return errors.Join(v.learnEpochs(), v.wantSameData())
	})
	if err != nil {
		return nil, errors.Join(storage.ErrUnavailable, err)
	}
	return found, nil
}
