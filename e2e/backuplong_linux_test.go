package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger"
)

// TestABackupOfAMillionUsers prints the table of docs/backup.md. WXGATE_BACKUP is the number of users.
func TestABackupOfAMillionUsers(t *testing.T) {
	users, _ := strconv.Atoi(os.Getenv("WXGATE_BACKUP"))
	if users == 0 {
		t.Skip("make long WHAT=backup")
	}
	w := operatorOn(t, users)
	pid := w.cmd.Process.Pid
	quiet := w.logInFor(5*time.Second, "before")
	memory := anonymousMemory(pid)

	file := filepath.Join(w.dir, "big.wxbackup")
	cmd := exec.CommandContext(t.Context(), binary, "-c", filepath.Join(w.dir, "operator.yaml"), "backup", file)
	cmd.Env = []string{}
	during, stop := make(chan []time.Duration), make(chan struct{})
	go func() { during <- w.logInUntil(stop, "during") }()
	began := time.Now()
	command, gateway, err := runWatched(t, cmd, pid)
	took := time.Since(began)
	close(stop)
	busy := <-during
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	w.stop(t)

	data := filepath.Join(w.dir, "data")
	if err := os.Rename(data, data+".was"); err != nil {
		t.Fatal(err)
	}
	copyKey(t, data+".was", data)
	began = time.Now()
	if said, code := w.command("restore", file, "-c", w.config); code != 0 {
		t.Fatalf("restore: exit code %d, %s", code, said)
	}
	restored := time.Since(began)
	if was, is := contentOf(t, data+".was", users), contentOf(t, data, users); was != is {
		t.Errorf("restored: got %s, want %s", is, was)
	}
	t.Logf("\n| users | backup | file | memory of the gateway | of the command | a login's p99 before | during | restore |\n|---|---|---|---|---|---|---|---|\n"+
		"| %d | %.1f s | %d MB | + %d MB | %d MB | %v | %v (%d logins) | %.1f s |", users, took.Seconds(), info.Size()>>20, gateway-memory, command,
		p99(quiet), p99(busy), len(busy), restored.Seconds())
	if took > 30*time.Second || gateway-memory > 50 || p99(busy) > 30*time.Millisecond {
		t.Errorf("want at most 30 s, 50 MB and 30 ms")
	}
}

// operatorOn serves a store of that many users, each with a session_key and a session.
func operatorOn(t *testing.T, users int) *world {
	t.Helper()
	w := newWorld(t)
	s := openFolder(t, filepath.Join(w.dir, "data"))
	var group sync.WaitGroup
	ids := make(chan int, 256)
	for range 64 {
		group.Go(func() {
			for i := range ids {
				now := time.Now()
				name := fmt.Sprint("oMany", i)
				_, err := s.Login(t.Context(), storage.Login{
					AppID: appID, OpenID: name, SessionKey: storage.SessionKey{Key: "MDEyMzQ1Njc4OWFiY2RlZg==", At: now},
					Session: storage.Session{ID: "s" + name, TokenID: "t" + name, Device: "iPhone", CreatedAt: now, RefreshedAt: now, ExpiresAt: now.Add(7 * 24 * time.Hour)},
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range users {
		ids <- i
	}
	close(ids)
	group.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.serve()
	if _, stderr, code := w.wxgate("", "users", "show", "1"); code != 0 { // writes the configuration of a command
		t.Fatal(stderr)
	}
	return w
}

func openFolder(t *testing.T, dir string) *badger.Store {
	t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = dir
	s, err := badger.Open(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// logInFor logs new users in, a hundred a second.
func (w *world) logInFor(d time.Duration, name string) []time.Duration {
	stop := make(chan struct{})
	time.AfterFunc(d, func() { close(stop) })
	return w.logInUntil(stop, name)
}

func (w *world) logInUntil(stop <-chan struct{}, name string) (took []time.Duration) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return took
		case <-ticker.C:
		}
		began := time.Now()
		w.login(fmt.Sprint(name, i))
		took = append(took, time.Since(began))
	}
}

func p99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100].Round(100 * time.Microsecond)
}

func copyKey(t *testing.T, from, to string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(from, "storage.key"))
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "storage.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// contentOf is a hash of the first users of a folder, and of what is sealed for them.
func contentOf(t *testing.T, dir string, users int) string {
	t.Helper()
	s := openFolder(t, dir)
	defer s.Close()
	sum, records := sha256.New(), 0
	err := s.Snapshot(t.Context(), func(r storage.Record) error {
		var id int64
		switch {
		case r.Kind == storage.KindUser:
			var u storage.UserRecord
			if err := r.Decode(&u); err != nil {
				return err
			}
			id = u.ID
		case r.Kind == storage.KindSecret && len(r.Name) == 9:
			id, _ = strconv.ParseInt(hex.EncodeToString([]byte(r.Name[1:])), 16, 64)
		}
		if id == 0 || id > int64(users) {
			return nil
		}
		records++
		sum.Write([]byte(r.Name))
		sum.Write(r.Data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(records, " records, ", hex.EncodeToString(sum.Sum(nil)))
}
