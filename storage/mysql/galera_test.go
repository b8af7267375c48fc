package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/storage"
	"wxgate/storage/storagetest"
)

// galeraNodes are the DSNs of the nodes, which WXGATE_GALERA has, separated by blanks; see scripts/galera.sh.
func galeraNodes(t *testing.T) []string {
	t.Helper()
	nodes := strings.Fields(os.Getenv("WXGATE_GALERA"))
	if len(nodes) == 0 {
		t.Skip("make long WHAT=galera")
	}
	return nodes
}

// newGaleraDatabase makes an empty database, and waits until every node has it.
func newGaleraDatabase(t *testing.T, nodes []string, name string) {
	t.Helper()
	for i, node := range nodes {
		statement := "SELECT 1" // waits until the node has what the first has acknowledged
		if i == 0 {
			statement = "CREATE OR REPLACE DATABASE " + name
		}
		db, err := sql.Open("mysql", node+"?wsrep_sync_wait=1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
	}
}

// atDatabase is the DSN of another database on the same server.
func atDatabase(dsn, name string) string { return dsn[:strings.LastIndexByte(dsn, '/')+1] + name }

// benchOnGalera is where each store is opened on another node than the one before.
func benchOnGalera(nodes []string) func(t *testing.T) storagetest.Bench {
	var made, opened atomic.Int64
	return func(t *testing.T) storagetest.Bench {
		t.Helper()
		name := fmt.Sprintf("conformance%d", made.Add(1))
		newGaleraDatabase(t, nodes, name)
		c := storagetest.NewClock()
		return storagetest.Bench{Clock: c, Shared: true, Open: func() (*storage.Store, error) {
			dsn := nodes[int(opened.Add(1))%len(nodes)]
			s, err := open(context.Background(), configOf(atDatabase(dsn, name)), prometheus.NewRegistry(), quiet(), clock{c.Now, c.Ran})
			if err != nil {
				return nil, err
			}
			if conn, err := s.driver.db.Conn(context.Background()); err == nil {
				if !isGalera(conn) {
					t.Error("the node is not recognized as one of Galera")
				}
				_ = conn.Close()
			}
			return s.Store, nil
		}}
	}
}

func TestConformanceOnGalera(t *testing.T) {
	t.Parallel()
	bench := benchOnGalera(galeraNodes(t))
	t.Run("one store", func(t *testing.T) { storagetest.Run(t, bench) })
	t.Run("moves", func(t *testing.T) { storagetest.RunMoves(t, bench, bench) })
}

// TestACommitOnItsWayOnAnotherNodeOfGaleraCountsOnce holds a COMMIT on the first node of Galera until its change runs
// again on the second, and lets it pass then: of the two, one counts. It has the cluster for itself: statements that
// change a schema wait for each other on all nodes, and its deadlines are short.
func TestACommitOnItsWayOnAnotherNodeOfGaleraCountsOnce(t *testing.T) {
	nodes := galeraNodes(t)
	newGaleraDatabase(t, nodes, "uncertain")
	dsn := atDatabase(nodes[0], "uncertain")
	address := regexp.MustCompile(`[\d.]+:\d+`)
	relays := make([]*relay, 0, 2)
	for _, node := range nodes[:2] {
		relays = append(relays, newRelayTo(t, "tcp", address.FindString(node)))
	}
	both := relays[0].listener.Addr().String() + "," + relays[1].listener.Addr().String()
	s, direct := openAt(t, address.ReplaceAllString(dsn, both)), openAt(t, dsn)
	if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Fatal(err)
	}
	count := func() int64 {
		u, err := direct.User(t.Context(), 1)
		if err != nil {
			t.Error(err)
		}
		return u.RecipeCount
	}
	const rounds = 5
	for round := range rounds {
		released, held := make(chan struct{}), make(chan struct{})
		var once atomic.Bool
		hold := func() fate {
			if once.CompareAndSwap(false, true) {
				s.driver.hosts.use(1)
				close(held)
				<-released
			}
			return passes
		}
		relays[0].onCommit.Store(&hold)
		attempts := 0
		_, err := s.UpdateUser(t.Context(), 1, func(u *storage.User) error {
			attempts++
			u.RecipeCount++
			select {
			case <-held: // the first attempt's COMMIT waits
			default:
				return nil
			}
			if attempts == 2 {
				close(released)
				for deadline := time.Now().Add(10 * time.Second); count() <= int64(round) && time.Now().Before(deadline); {
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if n := count(); n != int64(round+1) || attempts < 2 {
			t.Errorf("round %d: after %d attempts the counter is %d, want %d", round, attempts, n, round+1)
		}
		s.driver.hosts.use(0)
	}
}

// TestAFillingOnGaleraTakesNoCommitOfAnotherNode holds the COMMIT of a gateway on the second node until the store was marked on
// the first: before the second node knows of that, and after. It has the cluster for itself, as the one before.
func TestAFillingOnGaleraTakesNoCommitOfAnotherNode(t *testing.T) {
	nodes := galeraNodes(t)
	address := regexp.MustCompile(`[\d.]+:\d+`)
	for name, knows := range map[string]bool{"before it knows of the filling": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			newGaleraDatabase(t, nodes, "filled")
			r := newRelayTo(t, "tcp", address.FindString(nodes[1]))
			dsn := atDatabase(nodes[1], "filled")
			gateway, filler := openAt(t, address.ReplaceAllString(dsn, r.listener.Addr().String())), openAt(t, atDatabase(nodes[0], "filled"))
			held, released := make(chan struct{}), make(chan struct{})
			var once sync.Once
			hold := func() fate {
				once.Do(func() { close(held); <-released })
				return passes
			}
			r.onCommit.Store(&hold)
			committed := make(chan error, 1)
			go func() {
				login := loginAs("oFrozen", "s1")
				login.SessionKey.Key = "" // the first would read from the table that is locked below
				_, err := gateway.Login(t.Context(), login)
				committed <- err
			}()
			<-held
			unlock := func() {}
			if !knows {
				unlock = lockMeta(t, dsn)
			}
			fill, err := storage.BeginFill(t.Context(), filler.Store, "backup 1")
			if err != nil {
				t.Fatal(err)
			}
			defer fill.Stop()
			before := received(t, filler)
			close(released)
			eventually(t, func() bool {
				return received(t, filler) > before || testutil.ToFloat64(gateway.driver.metrics.retries[again]) > 0
			})
			_, _ = filler.User(t.Context(), 1) // waits until the first node has decided on what it has received
			unlock()
			if err := <-committed; !errors.Is(err, storage.ErrReplaced) {
				t.Errorf("the login: %v, want ErrReplaced", err)
			}
			if _, err := filler.User(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("its user in the store that is filled: %v, want ErrNotFound", err)
			}
		})
	}
}

// lockMeta keeps a node from applying what others write to wxgate_meta.
func lockMeta(t *testing.T, dsn string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "LOCK TABLES wxgate_meta READ"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Error(err)
		}
	}
}

// received is how many transactions of others the node of a store has received.
func received(t *testing.T, s *Store) (n int64) {
	t.Helper()
	var name string
	if err := s.driver.db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'wsrep_received'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits until something has happened.
func eventually(t *testing.T, happened func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(5 * time.Second); !happened(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// TestMigrationsOnGalera migrates from three nodes at once, an empty database and one that was cut off, and adopts a table.
// It has the cluster for itself, too.
func TestMigrationsOnGalera(t *testing.T) {
	nodes := galeraNodes(t)
	const name = "migrations"
	db, err := sql.Open("mysql", nodes[0]+"?multiStatements=true")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b := backend{t, db}
	db.SetMaxOpenConns(1)
	b.exec("CREATE OR REPLACE DATABASE " + name)
	b.exec("USE " + name)
	dsns := make([]string, 0, len(nodes))
	for _, node := range nodes {
		dsns = append(dsns, atDatabase(node, name))
	}
	for round := range 2 {
		var group sync.WaitGroup
		for _, dsn := range dsns {
			group.Go(func() {
				if _, err := Up(t.Context(), configOf(dsn).MySQL, quiet()); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		group.Wait()
		b.exec("DELETE FROM " + schemaTable + " WHERE version_id > 3")
	}
	b.exec(backendSchema)
	for n := range 500 {
		b.exec("INSERT INTO users (id, openid, nickname, avatar, session_key, bio, follower_count, phone, inviter_id, created_at) VALUES " +
			strings.Replace(backendUser(n+1), "(", fmt.Sprintf("(%d, ", n+1), 1))
	}
	reads := b.reads()
	done, err := Adopt(t.Context(), configOf(dsns[1]), adoptionOf(testApp), quiet())
	if err != nil || len(done.InTheWay) > 0 || done.Keys != 400 {
		t.Fatalf("adopting: %v, %v", done.InTheWay, err)
	}
	b.wantReads(reads)
	s := openAt(t, dsns[2])
	for openID, want := range map[string]int64{openIDOf(17): 17, "oNEW": 501} {
		if in, err := s.Login(t.Context(), loginTo(testApp, openID)); err != nil || in.User.ID != want {
			t.Errorf("%s logs in as %d, %v; want %d", openID, in.User.ID, err, want)
		}
	}
	b.exec("INSERT INTO recipes (user_id, title) VALUES (501, '麻婆豆腐')")
	if got, err := s.User(t.Context(), 17); err != nil || got.UpdatedAt.IsZero() {
		t.Errorf("user 17: %+v, %v", got, err)
	}
}
