package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
	"wxgate/storage/mysql/mysqltest"
)

const testKey = secret.Text("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=")

// place is where a store is, with either driver.
type place func(t *testing.T) *storage.Store

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func inFolder(t *testing.T) place {
	t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir, cfg.EncryptionKeys = t.TempDir(), storage.EncryptionKeys{testKey}
	return func(t *testing.T) *storage.Store {
		t.Helper()
		s, err := badger.Open(cfg, prometheus.NewRegistry(), quiet(), time.Now)
		must(t, err)
		return s.Store
	}
}

func inDatabase(server *mysqltest.Server) func(t *testing.T) place {
	return func(t *testing.T) place {
		t.Helper()
		dsn, err := server.NewDatabase(t.Context())
		must(t, err)
		cfg := storage.DefaultConfig()
		cfg.Driver, cfg.MySQL.DSN, cfg.EncryptionKeys = storage.DriverMySQL, secret.Text(dsn), storage.EncryptionKeys{testKey}
		return func(t *testing.T) *storage.Store {
			t.Helper()
			s, err := mysql.Open(t.Context(), cfg, prometheus.NewRegistry(), quiet(), time.Now)
			must(t, err)
			return s.Store
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func loginAs(openID string) storage.Login {
	now := time.Now()
	return storage.Login{
		AppID: "wx1", OpenID: openID, SessionKey: storage.SessionKey{Key: "key of " + openID, At: now},
		Session: storage.Session{ID: "s" + openID, TokenID: "t" + openID, CreatedAt: now, RefreshedAt: now, ExpiresAt: now.Add(time.Hour)},
	}
}

// TestABackupUnderLoginLoadIsRestored takes a backup while users log in, and restores it into a new store.
func TestABackupUnderLoginLoadIsRestored(t *testing.T) {
	t.Parallel()
	server, err := mysqltest.Start()
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	for name, new := range map[string][2]func(*testing.T) place{
		"from a folder to a folder":     {inFolder, inFolder},
		"from a folder to a database":   {inFolder, inDatabase(server)},
		"from a database to a folder":   {inDatabase(server), inFolder},
		"from a database to a database": {inDatabase(server), inDatabase(server)},
	} {
		t.Run(name, func(t *testing.T) { backUpAndRestore(t, new[0](t), new[1](t)) })
	}
}

func backUpAndRestore(t *testing.T, from, to place) {
	s := from(t)
	defer s.Close()
	ctx := t.Context()
	for i := range 300 {
		_, err := s.Login(ctx, loginAs(fmt.Sprint("before", i)))
		must(t, err)
	}
	must(t, s.SetPhone(ctx, 3, storage.Phone{PureNumber: "13580006666"}))
	until := time.Now().Add(time.Hour)
	_, err := s.EraseUser(ctx, 2, time.Now(), until)
	must(t, err)
	_, err = s.Revoke(ctx, storage.Revocation{Scope: storage.ScopeUser, ID: "5", From: time.Now(), Until: until},
		storage.Revocation{Scope: storage.ScopeUser, ID: "2", From: time.Now(), Until: until})
	must(t, err)

	path := filepath.Join(t.TempDir(), "backup")
	done := backUpUnderLoad(t, s, path)
	info, err := os.Stat(path)
	must(t, err)
	want(t, "mode", info.Mode().Perm(), 0o600)
	file, err := os.ReadFile(path)
	must(t, err)
	verified, err := Verify(path)
	must(t, err)
	want(t, "counts", maps.Equal(verified.Counts, done.Counts), true)
	want(t, "sessions", done.Counts["sessions"], done.Users())

	target := to(t)
	if _, err := Restore(ctx, target, verified, bytes.NewReader(file[:len(file)/2]), 0, time.Now()); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("half a backup: got %v", err)
	}
	must(t, target.Close())
	target = to(t)
	wantErr(t, "serving a half", target.Complete(), storage.ErrIncomplete)
	_, err = Restore(ctx, target, Summary{SHA256: "another"}, bytes.NewReader(file), 0, time.Now())
	wantErr(t, "another backup into a store that is half filled", err, storage.ErrIncomplete)
	_, err = storage.Copy(ctx, s, target, func(int64) {})
	wantErr(t, "a copy into it", err, storage.ErrIncomplete)
	restored, err := Restore(ctx, target, verified, bytes.NewReader(file), 1000, time.Now()) // again
	must(t, err)
	must(t, target.Close())
	want(t, "banned", strings.Join(restored.Banned, ","), "5")
	want(t, "ended", restored.Ended, done.Users()-1)

	r := to(t)
	defer r.Close()
	must(t, r.Complete())
	_, err = Restore(ctx, r, verified, bytes.NewReader(file), 0, time.Now())
	wantErr(t, "into a store that has users", err, storage.ErrNotEmpty)
	want(t, "the data set has a new id", r.ID() == restored.ID && r.ID() != s.ID(), true)
	sameUsers(t, s, r, done.Users())
	phone, err := r.Phone(ctx, 3)
	must(t, err)
	want(t, "phone", phone.PureNumber, "13580006666")
	again := loginAs("before1") // whom user 2 was
	again.Session.ID = "new"
	in, err := r.Login(ctx, again)
	must(t, err)
	want(t, "the id of a new user", in.User.ID, 1000)
}

// backUpUnderLoad writes a backup while others log in.
func backUpUnderLoad(t *testing.T, s *storage.Store, path string) (done Summary) {
	t.Helper()
	stop := make(chan struct{})
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Login(context.Background(), loginAs(fmt.Sprintf("during%d-%d", g, i))); err != nil {
					t.Errorf("a login during a backup: %v", err)
					return
				}
			}
		})
	}
	err := writeTo(t.Context(), path, s, &done)
	close(stop)
	group.Wait()
	must(t, err)
	return done
}

func writeTo(ctx context.Context, path string, s Source, done *Summary) error {
	return WriteFile(path, func(w io.Writer) (err error) {
		*done, err = Write(ctx, w, s)
		return err
	})
}

// sameUsers compares the users of a backup, and what is sealed.
func sameUsers(t *testing.T, was, is *storage.Store, users int) {
	t.Helper()
	ctx := t.Context()
	before, err := was.Users(ctx, 0, users-1) // one was erased
	must(t, err)
	after, err := is.Users(ctx, 0, users+1000)
	must(t, err)
	if !slices.Equal(before, after) {
		t.Fatalf("got %d users, want the %d of the backup", len(after), len(before))
	}
	for _, u := range after {
		keys, err := is.SessionKeys(ctx, u.ID)
		must(t, err)
		if len(keys) != 1 || keys[0].Key != "key of "+u.OpenID {
			t.Fatalf("session_keys of %d: got %v", u.ID, keys)
		}
		sessions, err := is.Sessions(ctx, u.ID, storage.SessionCursor{}, 10)
		must(t, err)
		want(t, "sessions", len(sessions), 0)
	}
}
