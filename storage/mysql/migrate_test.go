package mysql

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/secret"
)

// moment is when a connection ends.
type moment int

const (
	before moment = iota // the server sees the statement
	during               // it is sent, and nobody hears of the answer
	after                // the server has answered
	moments
)

func (m moment) String() string { return [moments]string{"before", "during", "after"}[m] }

// migrateThrough migrates a database, and ends at a statement, none for 0; last gives the lock back, which need not
// succeed. It returns how many statements there were.
func migrateThrough(t *testing.T, dsn string, at, last int64, when moment) int64 {
	t.Helper()
	r := newRelay(t)
	r.cutAt.Store(at)
	r.cutWhen.Store(int64(when))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.killed = cancel
	_, err := Up(ctx, configOf(through(dsn, r)).MySQL, quiet())
	if cut := r.statements.Load() >= at && at > 0; cut != (err != nil) && at != last {
		t.Errorf("cut %v statement %d: %v", when, at, err)
	}
	r.cut()
	return r.statements.Load()
}

// TestAMigrationThatIsCutOffAnywhereGoesOn: behind it, three processes at once bring the database up to date. By default one
// statement in seven is cut; make long WHAT=migrations cuts each.
func TestAMigrationThatIsCutOffAnywhereGoesOn(t *testing.T) {
	t.Parallel()
	statements, step := migrateThrough(t, newDatabase(t), 0, -1, before), int64(7)
	if os.Getenv("WXGATE_MIGRATIONS") != "" {
		step = 1
	}
	if statements < 40 {
		t.Fatalf("the migrations are %d statements, want some for each", statements)
	}
	turns := make(chan struct{}, 4)
	for at := int64(1); at <= statements; at++ {
		when := moment(at / step % int64(moments))
		for m := range moments {
			if at%step != 0 || step > 1 && m != when {
				continue
			}
			t.Run(fmt.Sprint(m, " ", at), func(t *testing.T) {
				t.Parallel()
				turns <- struct{}{}
				defer func() { <-turns }()
				dsn := newDatabase(t)
				migrateThrough(t, dsn, at, statements, m)
				endLock(t, dsn)
				upThrice(t, dsn)
				wantMigrated(t, dsn)
			})
		}
	}
}

// endLock ends the lease of whoever is gone; how long that takes otherwise has a test of its own.
func endLock(t *testing.T, dsn string) {
	t.Helper()
	_, err := server.DB.ExecContext(t.Context(), "DELETE FROM "+dsn[lastSlash(dsn)+1:]+"."+lockTable)
	if err != nil && !isMissing(err) {
		t.Error(err)
	}
}

func upThrice(t *testing.T, dsn string) {
	t.Helper()
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := Up(t.Context(), configOf(dsn).MySQL, quiet()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// wantMigrated checks that the tables are those of a database whose migration nobody disturbed, and that people can log in.
func wantMigrated(t *testing.T, dsn string) {
	t.Helper()
	known, _, err := Status(t.Context(), configOf(dsn).MySQL)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range known {
		if m.Applied.IsZero() {
			t.Errorf("%s was not applied", m.Name)
		}
	}
	s, err := Open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if in, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil || in.User.ID != 1 {
		t.Errorf("the first login: user %d, %v", in.User.ID, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheLockOfAKilledProcessDelaysNoMoreThanItsLease kills a process that migrates with -9, and opens a store.
func TestTheLockOfAKilledProcessDelaysNoMoreThanItsLease(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	dsn := newDatabase(t)
	reached := make(chan struct{})
	var once sync.Once
	stop := func(statement string) []byte {
		if strings.Contains(statement, "CREATE TABLE IF NOT EXISTS wxgate_users") {
			r.frozen.Store(true)
			once.Do(func() { close(reached) })
		}
		return nil
	}
	r.onStatement.Store(&stop)
	defer r.frozen.Store(false)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperThatMigrates$")
	cmd.Env = append(os.Environ(), migrateEnv+"="+through(dsn, r))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatal("the other process does not come to the users")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	var lines syncBuilder
	start := time.Now()
	log := slog.New(slog.NewTextHandler(&lines, nil))
	s, err := Open(t.Context(), configOf(dsn), prometheus.NewRegistry(), log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took < 10*time.Second || took > lockLease+15*time.Second {
		t.Errorf("it took %v, want the rest of a lease of %v", took, lockLease)
	}
	said := regexp.MustCompile(`waiting for another process that is migrating the database.* process=\S+-\d+-\S+ lock_ends_in=\d+s`)
	if !said.MatchString(lines.String()) {
		t.Errorf("the log does not say for whom it waits:\n%s", lines.String())
	}
	wantMigrated(t, dsn)
}

// migrateEnv is the database that TestHelperThatMigrates migrates.
const migrateEnv = "WXGATE_MIGRATE"

// TestHelperThatMigrates is the process that is killed. It migrates another database than those of this process.
func TestHelperThatMigrates(t *testing.T) {
	dsn := os.Getenv(migrateEnv)
	if dsn == "" {
		return // not that process
	}
	cfg := configOf("").MySQL
	cfg.DSN = secret.Text(dsn)
	if _, err := Up(t.Context(), cfg, quiet()); err != nil {
		t.Fatal(err)
	}
}

// syncBuilder is a log that several goroutines write.
type syncBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends to the text.
func (b *syncBuilder) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

// String is the text so far.
func (b *syncBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestAMigrationThatTakesAwaySaysSo: what an older wxgate does not survive is noted in the database by the same file.
func TestAMigrationThatTakesAwaySaysSo(t *testing.T) {
	t.Parallel()
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	takes := regexp.MustCompile(`(?i)\b(DROP|RENAME|MODIFY|CHANGE|DELETE)\b`)
	for _, file := range files {
		text, err := migrations.ReadFile("migrations/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(strings.NewReader(string(text)))
		for lines.Scan() {
			if line := lines.Text(); !strings.HasPrefix(line, "--") && takes.MatchString(line) && !strings.Contains(string(text), oldestSchema) {
				t.Errorf("%s takes something away and does not set %s: %s", file.Name(), oldestSchema, line)
			}
		}
	}
}
