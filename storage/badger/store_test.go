package badger

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"wxgate/storage"
	"wxgate/storage/storagetest"
)

func TestMain(m *testing.M) {
	if child, ok := children()[os.Getenv(childEnv)]; ok {
		child()
		return
	}
	goleak.VerifyTestMain(m,
		// glog, which Badger's ristretto pulls in, and opencensus leave these at init.
		goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// A Badger whose Open failed leaves these behind; the process ends then anyway.
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.Open"),
	)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, newBench)
}

func TestMoves(t *testing.T) {
	t.Parallel()
	storagetest.RunMoves(t, newBench, newBench)
}

// newBench is a place in a new folder.
func newBench(t *testing.T) storagetest.Bench {
	t.Helper()
	clock, cfg := storagetest.NewClock(), configIn(t.TempDir())
	cfg.EncryptionKeys = storage.EncryptionKeys{"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="} // the same for all
	return storagetest.Bench{Clock: clock, Open: func() (*storage.Store, error) {
		tuned := defaultTuning()
		tuned.ran = clock.Ran
		s, err := open(cfg, prometheus.NewRegistry(), quiet(), clock.Now, tuned)
		if err != nil {
			return nil, err
		}
		return s.Store, nil
	}}
}

// configIn is the default configuration with the data in dir.
func configIn(dir string) storage.Config {
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = dir
	return cfg
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func textLog(lines io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(lines, nil)) }

// openFree is Open once nobody holds the folder: a child of another test that is just becoming another program still holds
// the locks of all the folders that were open when it was forked.
func openFree(cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Store, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		s, err := Open(cfg, reg, log, now)
		if !errors.Is(err, storage.ErrLocked) || time.Now().After(end) {
			return s, err
		}
	}
}

// openIn opens the store in dir and closes it with the test.
func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := openFree(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// loginAs is a login with a session of that id, which lives for a week.
func loginAs(openID, sid string) storage.Login {
	now := time.Now()
	return storage.Login{
		AppID: "wx1", OpenID: openID,
		SessionKey: storage.SessionKey{Key: "session-key-of-" + openID, At: now},
		Session: storage.Session{
			ID: sid, TokenID: "t" + sid, Device: "iPhone", CreatedAt: now, RefreshedAt: now,
			ExpiresAt: now.Add(7 * 24 * time.Hour),
		},
	}
}

func login(t testing.TB, s *Store, openID, sid string) storage.User {
	t.Helper()
	in, err := s.Login(t.Context(), loginAs(openID, sid))
	if err != nil {
		t.Fatal(err)
	}
	return in.User
}

func TestNoFileHoldsASessionKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	login(t, s, "oABC", "s1")
	if !foundInFiles(t, dir, "oABC") {
		t.Error("got no file with the openid, want one: the test looks in the wrong place")
	}
	if foundInFiles(t, dir, "session-key-of-oABC") {
		t.Error("got a file with the session_key in plaintext")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if foundInFiles(t, dir, "session-key-of-oABC") {
		t.Error("got a file with the session_key in plaintext after Close")
	}
}

func foundInFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	for _, name := range filesBelow(t, dir) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}
