package mysql

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/storage/mysql/mysqltest"
	"wxgate/storage/storagetest"
)

// server is a MariaDB for all tests; each has a database of its own.
var server *mysqltest.Server

func TestMain(m *testing.M) {
	if os.Getenv(migrateEnv) != "" { // it is killed, and would leave a server of its own behind
		os.Exit(m.Run())
	}
	os.Exit(func() int {
		var err error
		if server, err = mysqltest.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		return code
	}())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storagetest.Bench { return benchAt(newMigratedDatabase(t)) })
}

func TestMoves(t *testing.T) {
	t.Parallel()
	here := func(t *testing.T) storagetest.Bench { return benchAt(newMigratedDatabase(t)) }
	t.Run("within", func(t *testing.T) { storagetest.RunMoves(t, here, here) })
	t.Run("from a folder", func(t *testing.T) { storagetest.RunMoves(t, benchInFolder, here) })
	t.Run("to a folder", func(t *testing.T) { storagetest.RunMoves(t, here, benchInFolder) })
}

// benchInFolder is a place of the other driver.
func benchInFolder(t *testing.T) storagetest.Bench {
	t.Helper()
	c, cfg := storagetest.NewClock(), storage.DefaultConfig()
	cfg.Badger.Dir, cfg.EncryptionKeys = t.TempDir(), storage.EncryptionKeys{testKey}
	return storagetest.Bench{Clock: c, Open: func() (*storage.Store, error) {
		s, err := badger.Open(cfg, prometheus.NewRegistry(), quiet(), c.Now)
		if err != nil {
			return nil, err
		}
		return s.Store, nil
	}}
}

// benchAt is a place in a database.
func benchAt(dsn string) storagetest.Bench {
	c := storagetest.NewClock()
	return storagetest.Bench{Clock: c, Shared: true, Open: func() (*storage.Store, error) {
		s, err := open(context.Background(), configOf(dsn), prometheus.NewRegistry(), quiet(), clock{c.Now, c.Ran})
		if err != nil {
			return nil, err
		}
		return s.Store, nil
	}}
}

func newDatabase(t testing.TB) string {
	t.Helper()
	dsn, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// template is a database with every table that has never been opened.
var template = sync.OnceValues(func() (dsn string, err error) {
	if dsn, err = server.NewDatabase(context.Background()); err == nil {
		_, err = Up(context.Background(), configOf(dsn).MySQL, quiet())
	}
	return dsn, err
})

// newMigratedDatabase is a copy of the template, which takes a fraction of what migrations take: for hundreds of tests.
func newMigratedDatabase(t testing.TB) string {
	t.Helper()
	from, err := template()
	if err != nil {
		t.Fatal(err)
	}
	dsn := newDatabase(t)
	if err := server.CopyTables(t.Context(), from, dsn); err != nil {
		t.Fatal(err)
	}
	return dsn
}

const testKey = secret.Text("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=")

func configOf(dsn string) storage.Config {
	cfg := storage.DefaultConfig()
	cfg.Driver, cfg.EncryptionKeys, cfg.MySQL.DSN = storage.DriverMySQL, storage.EncryptionKeys{testKey}, secret.Text(dsn)
	return cfg
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
