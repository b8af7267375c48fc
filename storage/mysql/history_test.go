package mysql

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage/storagetest"
)

// historyClock says when everything happened.
func historyClock() clock {
	return clock{now: storagetest.HistoryEnd, ran: func() time.Duration { return 0 }}
}

// openHistory opens a database at the end of the history that is in it.
func openHistory(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), historyClock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestDataOfEarlierSchemasAreMigrated loads dumps of earlier versions. A migration that only makes a table needs none; one
// that changes a table, or its rows, needs a dump of the schema before it: testdata/README.md.
func TestDataOfEarlierSchemasAreMigrated(t *testing.T) {
	t.Parallel()
	dumps, err := filepath.Glob("testdata/schema-*.sql.gz")
	if err != nil || len(dumps) == 0 {
		t.Fatalf("no dumps: %v", err)
	}
	for _, path := range dumps {
		dsn := newDatabase(t)
		loadDump(t, dsn, path)
		_, was, err := Status(t.Context(), configOf(dsn).MySQL)
		if want := regexp.MustCompile(`\d+`).FindString(filepath.Base(path)); err != nil || fmt.Sprint(was) != want {
			t.Errorf("%s has schema %d, %v", path, was, err)
		}
		storagetest.WantHistory(t, openHistory(t, dsn).Store)
	}
	only := regexp.MustCompile(`(?s)^\s*(CREATE TABLE IF NOT EXISTS|INSERT IGNORE INTO) .*;\s*$`)
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		text, err := migrations.ReadFile("migrations/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		statement := regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(string(text), "")
		needed := fmt.Sprintf("testdata/schema-%d.sql.gz", i)
		if _, err := os.Stat(needed); err != nil && !only.MatchString(statement) {
			t.Errorf("%s changes what is there, and there are no data of the schema before it to test it with: see testdata/README.md: %v", file.Name(), err)
		}
	}
}

func loadDump(t *testing.T, dsn, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := server.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "USE "+dsn[lastSlash(dsn)+1:]+"; SET NAMES utf8mb4; "+string(text)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestWriteTheDumpOfThisSchema writes it where WXGATE_HISTORY says.
func TestWriteTheDumpOfThisSchema(t *testing.T) {
	t.Parallel()
	path := os.Getenv("WXGATE_HISTORY")
	if path == "" {
		path = filepath.Join(t.TempDir(), "history.sql.gz") // so that it works when it is needed
	}
	dsn := newDatabase(t)
	s := openHistory(t, dsn)
	storagetest.WriteHistory(t, s.Store)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dump := exec.CommandContext(context.Background(), "mariadb-dump", "--no-defaults", "--user=root", "--socket="+server.Socket, "--compact", "--hex-blob",
		"--default-character-set=utf8mb4", dsn[lastSlash(dsn)+1:])
	text, err := dump.Output()
	if err != nil || !strings.Contains(string(text), "CREATE TABLE `wxgate_users`") {
		t.Fatalf("mariadb-dump: %v", err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zipped := gzip.NewWriter(file)
	if _, err := zipped.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
}
