package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/storagetest"
)

// TestThreeGatewaysStartAtOnceOnAnEmptyDatabase and are of one data set.
func TestThreeGatewaysStartAtOnceOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	ids := make(chan string, 3)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			s, err := Open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), time.Now)
			if err != nil {
				t.Error(err)
				return
			}
			ids <- s.ID()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first || id == "" {
			t.Errorf("the ids of the data set are %q and %q", first, id)
		}
	}
	known, newest, err := Status(t.Context(), configOf(dsn).MySQL)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range known {
		if m.Applied.IsZero() {
			t.Errorf("%s was not applied", m.Name)
		}
	}
	if newest != known[len(known)-1].Version {
		t.Errorf("the schema is %d, want %d", newest, known[len(known)-1].Version)
	}
	if done, err := Up(t.Context(), configOf(dsn).MySQL, quiet()); len(done) > 0 || err != nil {
		t.Errorf("again: %v, %v", done, err)
	}
}

// TestTwoGatewaysGiveOneIDToEachPerson logs the same people in on both.
func TestTwoGatewaysGiveOneIDToEachPerson(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	stores := []*Store{openAt(t, dsn), openAt(t, dsn)}
	const people = 40
	var mu sync.Mutex
	ids := map[string]map[int64]bool{}
	var group sync.WaitGroup
	for i, s := range stores {
		for n := range people {
			group.Go(func() {
				openID := fmt.Sprint("o", n)
				in, err := s.Login(t.Context(), loginAs(openID, fmt.Sprint("s", i, "-", n)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if ids[openID] == nil {
					ids[openID] = map[int64]bool{}
				}
				ids[openID][in.User.ID] = true
			})
		}
	}
	group.Wait()
	given := map[int64]bool{}
	for openID, of := range ids {
		if len(of) != 1 {
			t.Errorf("%s has the ids %v", openID, of)
		}
		for id := range of {
			given[id] = true
			if id > people {
				t.Errorf("%s is user %d, want ids up to %d", openID, id, people)
			}
		}
	}
	if len(given) != people {
		t.Errorf("%d people have %d ids", people, len(given))
	}
}

// TestAGatewayFollowsTheOther sees its revocations, and knows its tokens without asking for each.
func TestAGatewayFollowsTheOther(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	one, two := openAt(t, dsn), openAt(t, dsn)
	issuedAt := time.Now() // while the other was there, and before its last write; the next second need not be known yet
	if _, err := one.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Fatal(err)
	}
	ended, err := one.EndSession(t.Context(), "s1", time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	found, err := two.Follow(t.Context(), ended.Seq-1, 10)
	if err != nil || len(found) != 1 || found[0].ID != "s1" {
		t.Fatalf("followed to %v, %v", found, err)
	}
	if until, known := two.driver.EpochEnd(one.Epoch()); !known || time.Since(until) > time.Minute {
		t.Errorf("the epoch of the other is known: %t, until %v", known, until)
	}
	if issued, err := two.Issued(t.Context(), one.Epoch(), issuedAt); !issued || err != nil {
		t.Errorf("a token of the other was issued: %t, %v", issued, err)
	}
	if issued, err := two.Issued(t.Context(), one.Epoch(), time.Now().Add(time.Minute)); issued || err != nil {
		t.Errorf("a token of later, which a lost state may have issued: %t, %v", issued, err)
	}
}

// TestTheHorizonOfManyGatewaysMovesAsTimeDoes and does not stop with the one that moves it.
func TestTheHorizonOfManyGatewaysMovesAsTimeDoes(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	c := storagetest.NewClock()
	begin := c.Now()
	openOne := func() *Store {
		s, err := open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), clock{c.Now, c.Ran})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, two := openOne(), openOne()
	defer two.Close()
	pass := func(times int, stores ...*Store) {
		for range times {
			c.Advance(time.Minute)
			for _, s := range stores {
				if err := s.Forget(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	moved := func() time.Duration { return two.Past().Add(25 * time.Hour).Sub(begin).Round(time.Minute) }
	pass(60, one, two)
	if got := moved(); got > time.Hour || got < 58*time.Minute {
		t.Errorf("after an hour of two gateways the horizon has moved by %v", got)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	pass(60, two)
	if got := moved(); got > 2*time.Hour || got < 110*time.Minute {
		t.Errorf("after an hour more of one gateway the horizon has moved by %v", got)
	}
}

// TestANewerSchemaIsUsedUntilItSaysOtherwise: while versions are rolled, this one works on what the next has made.
func TestANewerSchemaIsUsedUntilItSaysOtherwise(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s := openAt(t, dsn)
	run := func(statement string) {
		if _, err := s.driver.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("INSERT INTO " + schemaTable + " (version_id, is_applied) VALUES (99, 1)")
	run("ALTER TABLE wxgate_users ADD COLUMN of_the_next INT NOT NULL DEFAULT 0")
	if _, err := openAt(t, dsn).Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Errorf("beside the next version: %v", err)
	}
	run("INSERT INTO wxgate_meta (name, value) VALUES ('oldest_schema', '99')")
	_, err := Open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), time.Now)
	if !errors.Is(err, storage.ErrNewerSchema) {
		t.Errorf("got %v, want ErrNewerSchema", err)
	}
}

// TestAMigrationThatWasCutOffGoesOn: a table may exist whose migration was not noted.
func TestAMigrationThatWasCutOffGoesOn(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	openAt(t, dsn)
	if _, err := server.DB.ExecContext(t.Context(), "DELETE FROM "+dsn[lastSlash(dsn)+1:]+"."+schemaTable+" WHERE version_id > 3"); err != nil {
		t.Fatal(err)
	}
	if _, err := openAt(t, dsn).Login(context.Background(), loginAs("oABC", "s1")); err != nil {
		t.Error(err)
	}
}

func lastSlash(text string) int {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '/' {
			return i
		}
	}
	return -1
}

// TestTheFeedNoticesOtherData that another process fills the database with: a gateway that was frozen meanwhile hears of it.
func TestTheFeedNoticesOtherData(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	gateway, filler := openAt(t, dsn), openAt(t, dsn)
	if _, err := gateway.Follow(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	fill, err := storage.BeginFill(t.Context(), filler.Store, "backup 1")
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Stop()
	for _, when := range []string{"while it is filled", "afterwards"} {
		if _, err := gateway.Follow(t.Context(), 0, 10); !errors.Is(err, storage.ErrReplaced) {
			t.Errorf("%s: %v, want ErrReplaced", when, err)
		}
		if err := fill.End(t.Context(), "another"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := filler.Follow(t.Context(), 0, 10); err != nil {
		t.Errorf("the process that filled it: %v", err)
	}
}

// TestAGatewayThatFrozeWhileItsDatabaseWasCopiedAgainWritesNothing: the copy is the same data set, and so has the same id.
func TestAGatewayThatFrozeWhileItsDatabaseWasCopiedAgainWritesNothing(t *testing.T) {
	t.Parallel()
	source, dsn := openAt(t, newDatabase(t)), newDatabase(t)
	if _, err := source.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Fatal(err)
	}
	serveCopy := func() *Store {
		target := openAt(t, dsn)
		if _, err := storage.Copy(t.Context(), source.Store, target.Store, func(int64) {}); err != nil {
			t.Fatal(err)
		}
		gateway := openAt(t, dsn)
		if err := storage.BeginServing(t.Context(), gateway.Store); err != nil {
			t.Fatal(err)
		}
		return gateway
	}
	frozen := serveCopy()
	if _, err := frozen.Login(t.Context(), loginAs("oFrozen", "s2")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.DB.ExecContext(t.Context(), "CREATE OR REPLACE DATABASE "+dsn[lastSlash(dsn)+1:]); err != nil {
		t.Fatal(err)
	}
	gateway := serveCopy()
	if gateway.ID() != frozen.ID() {
		t.Errorf("the ids are %s and %s, want one", gateway.ID(), frozen.ID())
	}
	_, loginErr := frozen.Login(t.Context(), loginAs("oFrozen", "s3"))
	_, followErr := frozen.Follow(t.Context(), 0, 10)
	for what, err := range map[string]error{
		"a login": loginErr, "the feed": followErr,
		"joining again": storage.JoinGateways(t.Context(), frozen.Store, "gateway-1", [][]byte{[]byte("key")}),
		"serving again": frozen.driver.SetID(t.Context(), frozen.ID()),
	} {
		if !errors.Is(err, storage.ErrReplaced) {
			t.Errorf("%s: %v, want ErrReplaced", what, err)
		}
	}
	if in, err := gateway.Login(t.Context(), loginAs("oNEW", "s4")); err != nil || in.User.ID != 2 {
		t.Errorf("a login to the copy: user %d, %v, want 2", in.User.ID, err)
	}
}

// TestAUserWhoComesWhileAStoreIsMarkedIsNotFilledOver, of a gateway that nobody knew of: after the look whether the store is
// empty, before the mark.
func TestAUserWhoComesWhileAStoreIsMarkedIsNotFilledOver(t *testing.T) {
	t.Parallel()
	r, dsn := newRelay(t), newDatabase(t)
	gateway, filler := openAt(t, dsn), openAt(t, through(dsn, r))
	var once sync.Once
	login := func(statement string) []byte {
		if strings.HasSuffix(statement, "IN ('filling', 'store_id') FOR UPDATE") {
			once.Do(func() {
				if _, err := gateway.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}
	id := filler.driver.ID()
	r.onStatement.Store(&login)
	if _, err := storage.BeginFill(t.Context(), filler.Store, "backup 1"); !errors.Is(err, storage.ErrNotEmpty) {
		t.Errorf("got %v, want ErrNotEmpty", err)
	}
	again := openAt(t, dsn)
	if again.driver.ID() != id {
		t.Errorf("the id is %s, want %s, as before", again.driver.ID(), id)
	}
	if _, err := again.UserByOpenID(t.Context(), "wx1", "oABC"); err != nil {
		t.Error(err)
	}
}
