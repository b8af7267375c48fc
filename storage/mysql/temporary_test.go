package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
)

// TestTemporaryValuesLeaveNothing has more of them than one statement deletes.
func TestTemporaryValuesLeaveNothing(t *testing.T) {
	t.Parallel()
	s := openAt(t, newDatabase(t))
	err := s.driver.withConn(t.Context(), s.driver.db, func(conn *sql.Conn) error {
		for i := range 3 {
			rows := make([]string, forgetMost)
			for n := range rows {
				rows[n] = fmt.Sprintf("('over %d %d', '', 1)", i, n)
			}
			if _, err := conn.ExecContext(t.Context(), "INSERT INTO wxgate_temporary (name, value, until_ms) VALUES "+strings.Join(rows, ", ")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.NewLease(s.Store, "stays", time.Hour).Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.driver.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM wxgate_temporary").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d are left, %v; want the lease alone", left, err)
	}
}

// TestOneOfThreeGatewaysHasALease while each of them tries all the time, with clocks that are an hour apart.
func TestOneOfThreeGatewaysHasALease(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	const ttl = 400 * time.Millisecond
	var holders, most, had atomic.Int64
	var group sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for i := range 3 {
		off := time.Duration(i-1) * time.Hour
		began := time.Now()
		s, err := open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), clock{
			now: func() time.Time { return time.Now().Add(off) }, ran: func() time.Duration { return time.Since(began) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		group.Go(func() {
			lease := storage.NewLease(s.Store, "one", ttl)
			for n := 0; ctx.Err() == nil; n++ {
				err := lease.Take(ctx)
				if err != nil {
					if !errors.Is(err, storage.ErrLeased) && ctx.Err() == nil {
						t.Error(err)
					}
					continue
				}
				if lease.Left() > ttl/2 { // else the machine was busy
					most.Store(max(most.Load(), holders.Add(1)))
					had.Add(1)
					holders.Add(-1)
				}
				if n%2 == 0 { // else it ends by itself
					if err := lease.Release(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if most.Load() != 1 || had.Load() < 3 {
		t.Errorf("%d had it at once, %d times altogether; want one at a time", most.Load(), had.Load())
	}
}
