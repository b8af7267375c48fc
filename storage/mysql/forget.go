package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"wxgate/storage"
)

const (
	forgetMost  = 1000            // rows of a table in one go
	keeperAfter = 3 * time.Minute // without a sign of the one who forgets, another process does
)

// horizonRecord is the horizon as all processes share it: the keeper advances it by the time that passes for them, and
// deletes what has ended before it. Times are Unix milliseconds, spans milliseconds.
type horizonRecord struct {
	At     int64  `json:"at"`
	Lead   int64  `json:"lead"`
	Doubt  int64  `json:"doubt"`
	Keeper string `json:"keeper"` // the epoch of the process
	Beats  int64  `json:"beats"`  // how often it was advanced
}

func (r horizonRecord) horizon() storage.Horizon {
	return storage.Horizon{
		At: time.UnixMilli(r.At), Lead: time.Duration(r.Lead) * time.Millisecond, Doubt: time.Duration(r.Doubt) * time.Millisecond,
	}
}

// forgetful is what one process has seen of the horizon.
type forgetful struct {
	mu    sync.Mutex
	beats int64         // as they were when they were seen to change
	since time.Duration // when that was, on the monotonic clock
}

// beginForgetting reads the horizon, which begins with the data.
func (d *mysqlDriver) beginForgetting(ctx context.Context) error {
	begin, err := json.Marshal(horizonRecord{At: d.now().UnixMilli()})
	if err != nil {
		return err
	}
	text, err := d.settle(ctx, "horizon", string(begin))
	if err != nil {
		return err
	}
	var record horizonRecord
	if err := decode([]byte(text), &record); err != nil {
		return err
	}
	d.forgetting.beats, d.forgetting.since = record.Beats, d.ran()
	d.past.Store(record.horizon().Past(d.now()).UnixMilli())
	if lead := d.now().Sub(record.horizon().At); lead > 24*time.Hour {
		d.log.Warn("THE CLOCK IS FAR AHEAD OF WHEN THIS STORE WAS LAST WRITTEN: was it off that long, or is the clock wrong? "+
			"Until that is certain no ban and no logout is forgotten", "ahead", lead.Round(time.Second).String())
	}
	return nil
}

// Forget advances the horizon and deletes some of what has ended before it, if this process is the keeper.
func (d *mysqlDriver) Forget(ctx context.Context) error {
	d.forgetting.mu.Lock()
	defer d.forgetting.mu.Unlock()
	var past time.Time
	keeps, changed, ran := false, int64(0), time.Duration(0)
	err := d.write(ctx, func(v *view) (err error) {
		ran = d.ran()
		past, keeps, changed, err = d.forgetting.advance(v, d.epoch, ran)
		return err
	})
	if err != nil {
		return err
	}
	if d.past.Store(past.UnixMilli()); changed != d.forgetting.beats {
		d.forgetting.beats, d.forgetting.since = changed, ran
	}
	if !keeps {
		return nil
	}
	return d.persist(ctx, func(ctx context.Context) error {
		return d.withConn(ctx, d.db, func(conn *sql.Conn) error { return d.deleteOver(ctx, conn, past.UnixMilli()) })
	})
}

// advance moves the horizon by the time that this process has run since it was moved last.
func (f *forgetful) advance(v *view, epoch string, ran time.Duration) (past time.Time, keeps bool, beats int64, err error) {
	var text []byte
	if err := v.row("SELECT value FROM wxgate_meta WHERE name = 'horizon'"+v.lock, nil, &text); err != nil {
		return past, false, 0, err
	}
	var r horizonRecord
	if err := decode(text, &r); err != nil {
		return past, false, 0, err
	}
	stands := ran - f.since // for how long nobody has moved it
	keeps = r.Beats == f.beats && (r.Keeper == epoch || r.Keeper == "" || stands >= keeperAfter)
	if !keeps {
		return r.horizon().Past(v.now), false, r.Beats, nil
	}
	h := r.horizon().Advance(stands, v.now)
	r = horizonRecord{At: h.At.UnixMilli(), Lead: h.Lead.Milliseconds(), Doubt: h.Doubt.Milliseconds(), Keeper: epoch, Beats: r.Beats + 1}
	if text, err = json.Marshal(r); err != nil {
		return past, false, 0, err
	}
	return h.Past(v.now), true, r.Beats, v.exec("UPDATE wxgate_meta SET value = ? WHERE name = 'horizon'", text)
}

// deleteOver deletes what is over, some of each table.
func (d *mysqlDriver) deleteOver(ctx context.Context, conn *sql.Conn, past int64) error {
	for _, of := range []struct{ table, ends, key string }{
		{"wxgate_sessions", "expires_ms", "id"},
		{"wxgate_revocations", "until_ms", "seq"},
		{"wxgate_epochs", "expires_ms", "id"},
		{"wxgate_commits", "at_ms", "slot"},
	} {
		statement := fmt.Sprintf("DELETE FROM %s WHERE %s < ? ORDER BY %s, %s LIMIT %d", of.table, of.ends, of.ends, of.key, forgetMost)
		if _, err := conn.ExecContext(ctx, statement, past); err != nil {
			return err
		}
	}
	return deleteTemporary(ctx, conn)
}
