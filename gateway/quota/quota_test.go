package quota_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/quota"
	"wxgate/lograte"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
	"wxgate/storage/mysql/mysqltest"
)

// clock is a time that tests move.
type clock struct{ nanoseconds atomic.Int64 }

func clockAt(at string) *clock {
	c := new(clock)
	c.set(at)
	return c
}

func (c *clock) now() time.Time { return time.Unix(0, c.nanoseconds.Load()) }

func (c *clock) set(at string) {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	c.nanoseconds.Store(t.UnixNano())
}

func newStore(tb testing.TB) *badger.Store {
	tb.Helper()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = tb.TempDir()
	store, err := badger.Open(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	return store
}

func newCounter(store quota.Store, now func() time.Time) *quota.Counter {
	log := lograte.New(slog.New(slog.DiscardHandler), now)
	return quota.NewCounter(store, prometheus.NewRegistry(), log, now)
}

func TestADayEndsAtMidnightInShanghai(t *testing.T) {
	t.Parallel()
	at := clockAt("2026-11-30T15:59:58Z") // 23:59:58 there
	c, q := newCounter(newStore(t), at.now), quota.Quota{Name: "ai", PerDay: 2}
	for i, want := range []string{`"user-day";r=1;t=2`, `"user-day";r=0;t=2`, "exceeded"} {
		count, err := c.Take(t.Context(), 7, q)
		got := count.State()
		if errors.Is(err, quota.ErrExceeded) {
			got = "exceeded"
		}
		if got != want || count.Policy() != `"user-day";q=2;w=86400` || !count.Resets().Equal(time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("request %d: got %s and %s until %v, want %s", i+1, got, count.Policy(), count.Resets(), want)
		}
	}
	at.set("2026-11-30T16:00:00Z")
	count, err := c.Take(t.Context(), 7, q)
	if got := count.State(); err != nil || got != `"user-day";r=1;t=86400` {
		t.Errorf("at midnight: got %s, %v", got, err)
	}
}

func TestWhatIsGivenBackAfterMidnightIsOfTheDayBefore(t *testing.T) {
	t.Parallel()
	at := clockAt("2026-11-30T15:59:59Z")
	c, q := newCounter(newStore(t), at.now), quota.Quota{Name: "ai", PerDay: 2}
	before, err := c.Take(t.Context(), 7, q)
	if err != nil {
		t.Fatal(err)
	}
	at.set("2026-11-30T16:00:01Z")
	if _, err := c.Take(t.Context(), 7, q); err != nil {
		t.Fatal(err)
	}
	c.GiveBack(t.Context(), &before)
	today, err := c.Of(t.Context(), 7, q)
	if err != nil || today.Used != 1 || before.Used != 0 {
		t.Errorf("today %d are used and yesterday %d, want 1 and 0: %v", today.Used, before.Used, err)
	}
}

func TestQuotasAreCountedByUserAndName(t *testing.T) {
	t.Parallel()
	c := newCounter(newStore(t), time.Now)
	ai, other := quota.Quota{Name: "ai", PerDay: 1}, quota.Quota{Name: "ai 2", PerDay: 1}
	for _, step := range []struct {
		user int64
		of   quota.Quota
		want error
	}{{7, ai, nil}, {7, ai, quota.ErrExceeded}, {7, other, nil}, {77, ai, nil}, {7, other, quota.ErrExceeded}} {
		if _, err := c.Take(t.Context(), step.user, step.of); !errors.Is(err, step.want) {
			t.Errorf("user %d, %s: got %v, want %v", step.user, step.of.Name, err, step.want)
		}
	}
}

func TestAGrantIsForToday(t *testing.T) {
	t.Parallel()
	at := clockAt("2026-11-30T10:00:00Z")
	c, q := newCounter(newStore(t), at.now), quota.Quota{Name: "ai", PerDay: 1}
	for _, step := range []struct{ grant, limit, left int64 }{{2, 3, 3}, {-1, 2, 2}, {-5, 0, 0}, {1 << 40, 1_000_001, 1_000_001}} {
		count, err := c.Grant(t.Context(), 7, q, step.grant)
		if err != nil || count.Limit() != step.limit || count.Left() != step.left {
			t.Errorf("after %d: got %d of %d, %v; want %d of %d", step.grant, count.Left(), count.Limit(), err, step.left, step.limit)
		}
	}
	at.set("2026-12-01T10:00:00Z")
	if count, err := c.Of(t.Context(), 7, q); err != nil || count.Limit() != 1 {
		t.Errorf("tomorrow: got %d, %v; want 1", count.Limit(), err)
	}
}

// TestNoMoreThanTheQuotaIsTaken has many at once, through two gateways, some of which give back.
func TestNoMoreThanTheQuotaIsTaken(t *testing.T) {
	t.Parallel()
	at := clockAt("2026-11-30T10:00:00Z")
	for name, open := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const most, clients, attempts = 40, 16, 8
			var kept, refused, given atomic.Int64
			q := quota.Quota{Name: "ai", PerDay: most}
			gateways := open(t, 2)
			var all sync.WaitGroup
			for client := range clients {
				c := newCounter(gateways[client%2], at.now)
				all.Go(func() {
					for i := range attempts {
						count, err := c.Take(t.Context(), 7, q)
						switch {
						case errors.Is(err, quota.ErrExceeded):
							refused.Add(1)
						case err != nil:
							t.Error(err)
						case i%4 == 0:
							c.GiveBack(t.Context(), &count)
							given.Add(1)
						default:
							kept.Add(1)
						}
					}
				})
			}
			all.Wait()
			last := newCounter(gateways[0], at.now)
			for kept.Load() <= most { // what was given back when the others had gone
				if _, err := last.Take(t.Context(), 7, q); err != nil {
					break
				}
				kept.Add(1)
			}
			count, err := last.Of(t.Context(), 7, q)
			if err != nil || count.Used != kept.Load() || kept.Load() != most {
				t.Errorf("%d are counted, %d were kept, %d given back, %d refused, %v; want %d", count.Used, kept.Load(), given.Load(), refused.Load(), err, most)
			}
		})
	}
}

// testStore is a store in which people log in.
type testStore interface {
	quota.Store
	Login(ctx context.Context, l storage.Login) (storage.LoginResult, error)
}

// stores are what opens a store of each driver for a number of gateways.
func stores() map[string]func(tb testing.TB, gateways int) []testStore {
	return map[string]func(tb testing.TB, gateways int) []testStore{
		"badger": func(tb testing.TB, gateways int) []testStore {
			tb.Helper()
			store, all := newStore(tb), []testStore{}
			for range gateways {
				all = append(all, store)
			}
			return all
		},
		"mysql": func(tb testing.TB, gateways int) []testStore {
			tb.Helper()
			server, err := mysqltest.Start("--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync")
			if err != nil {
				tb.Fatal(err)
			}
			tb.Cleanup(func() { _ = server.Stop() })
			dsn, err := server.NewDatabase(tb.Context())
			if err != nil {
				tb.Fatal(err)
			}
			var all []testStore
			for range gateways {
				cfg := storage.DefaultConfig()
				cfg.Driver, cfg.MySQL.DSN, cfg.EncryptionKeys = "mysql", secret.Text(dsn), storage.EncryptionKeys{"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="}
				store, err := mysql.Open(tb.Context(), cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
				if err != nil {
					tb.Fatal(err)
				}
				tb.Cleanup(func() { _ = store.Close() })
				all = append(all, store)
			}
			return all
		},
	}
}

func TestAQuotaIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	var d quota.Daily
	if err := d.UnmarshalText([]byte("20/day")); err != nil || d != 20 || d.String() != "20/day" {
		t.Errorf("got %v, %v", d, err)
	}
	for _, text := range []string{"", "20", "20/d", "/day", "0/day", "-1/day", "1.5/day", "1000001/day", "20/day ", "20/hour"} {
		if err := d.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "20/day") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// BenchmarkTake is what a quota costs a request, beside what a login costs in the same store.
func BenchmarkTake(b *testing.B) {
	for name, open := range stores() {
		store := open(b, 1)[0]
		c, q := newCounter(store, time.Now), quota.Quota{Name: "ai", PerDay: 1_000_000}
		users := new(atomic.Int64)
		b.Run(name+"/one after another", func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Take(context.Background(), 1, q); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/64 users at once", func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(each *testing.PB) {
				user := users.Add(1)
				for each.Next() {
					if _, err := c.Take(context.Background(), user, q); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(name+"/a login", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				id := fmt.Sprint(name, i, time.Now().UnixNano())
				l := storage.Login{
					AppID: "wx1", OpenID: "alice", SessionKey: storage.SessionKey{Key: "a2V5a2V5a2V5a2V5a2V5aw==", At: time.Now()},
					Session: storage.Session{ID: id, TokenID: id, CreatedAt: time.Now(), RefreshedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}, MaxSessions: 5,
				}
				if _, err := store.Login(b.Context(), l); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/used up", func(b *testing.B) {
			none := quota.Quota{Name: "none", PerDay: 1}
			_, _ = c.Take(context.Background(), 1, none)
			for b.Loop() {
				if _, err := c.Take(context.Background(), 1, none); !errors.Is(err, quota.ErrExceeded) {
					b.Fatal(err)
				}
			}
		})
	}
}
