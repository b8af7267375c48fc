package authn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
)

// backUp copies the data folder of a store that is closed meanwhile.
func (f *fixture) backUp(t *testing.T) (dir string) {
	t.Helper()
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(f.dir)); err != nil {
		t.Fatal(err)
	}
	f.open(t)
	return filepath.Join(dir, "copy")
}

// putBack starts with a copy of the folder instead of the folder.
func (f *fixture) putBack(t *testing.T, copied string) {
	t.Helper()
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f.dir = copied
	f.open(t)
}

func TestATokenOfWhoCameAfterTheBackupSpeaksForNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alice := f.loginAs(t, "alice").Token
	f.clock.move(time.Second)
	last := f.loginAs(t, "alice").Token
	copied := f.backUp(t)
	bob := f.loginAs(t, "bob") // in the very second of the backup
	if bob.User.ID != 2 {
		t.Fatalf("bob is user %d, want 2", bob.User.ID)
	}
	f.putBack(t, copied)
	f.wantVerdict(t, "alice, who was there", alice, nil)
	f.wantVerdict(t, "alice in the last second, which nobody can tell from bob's", last, token.ErrRevoked)
	f.wantVerdict(t, "bob, who came later", bob.Token, token.ErrRevoked)
	carol := f.loginAs(t, "carol")
	if carol.User.ID != 2 {
		t.Fatalf("carol is user %d, want 2: the id is given again", carol.User.ID)
	}
	f.restart()
	f.wantVerdict(t, "bob, after another start", bob.Token, token.ErrRevoked)
	if _, err := f.Refresh(t.Context(), bob.Token); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("a refresh of bob's token: %v, want %v", err, token.ErrRevoked)
	}
	f.wantVerdict(t, "carol", carol.Token, nil)
	f.wantVerdict(t, "alice, after another start", alice, nil)
}

func TestARefreshAfterTheBackupIsOfTheLostStateToo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alice := f.loginAs(t, "alice").Token
	f.clock.move(time.Second)
	f.loginAs(t, "dave")
	copied := f.backUp(t)
	f.clock.move(time.Hour)
	renewed := f.mustRefresh(t, alice)
	f.putBack(t, copied)
	f.wantVerdict(t, "the token of after the backup", renewed, token.ErrRevoked)
	f.wantVerdict(t, "the token of the backup", alice, nil)
}

func TestAnOrdinaryRestartRevokesNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var tokens []string
	for i := range 12 {
		tokens = append(tokens, f.loginAs(t, "alice").Token) // again and again in the second of a start
		switch i % 4 {
		case 1:
			f.clock.move(-time.Minute) // the clock is set back between two logins
			f.clock.move(time.Minute)
		case 2:
			f.clock.move(time.Hour)
		}
		f.restart()
		for i, bearer := range tokens {
			f.wantVerdict(t, "token "+string(rune('a'+i)), bearer, nil)
		}
	}
}

func TestAClockThatWasSetBackAtAStartRevokesNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.move(time.Hour)
	f.loginAs(t, "alice")
	f.restart()
	f.clock.move(-time.Hour)
	bearer := f.loginAs(t, "bob").Token
	f.restart()
	f.wantVerdict(t, "a token of the hour that came twice", bearer, nil)
	f.clock.move(time.Hour)
	f.restart()
	f.wantVerdict(t, "the same an hour later", bearer, nil)
}

func TestATokenWithoutAnEpochIsRefusedWhereNoneWasIssued(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	payload, err := f.Tokens.Keys().Parse(bearer)
	if err != nil {
		t.Fatal(err)
	}
	old, err := f.Tokens.Keys().Read(bearer, payload)
	if err != nil {
		t.Fatal(err)
	}
	old.Store, _, _ = strings.Cut(old.Store, ".")
	signed, err := f.Tokens.Keys().Sign(old)
	if err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "a token without an epoch, in a store that never issued one", signed, token.ErrRevoked)
}

func TestABanAndALogoutHoldThoughAStartSawTheClockAhead(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{
		"an hour": time.Hour, "4 days": 4 * 24 * time.Hour, "8 days": 8 * 24 * time.Hour, "15 days": 15 * 24 * time.Hour,
		"to 2038": 12 * 365 * 24 * time.Hour, "to 2040": 14 * 365 * 24 * time.Hour,
	} {
		for _, way := range []string{"while running", "across a start", "across two starts"} {
			f := newFixture(t)
			left, banned := f.loginAs(t, "alice").Token, f.loginAs(t, "bob").Token
			if err := errors.Join(f.Sessions.Logout(t.Context(), f.subjectOf(t, left)), f.Users.Ban(t.Context(), 2, f.clock.Now().Add(72*time.Hour))); err != nil {
				t.Fatal(err)
			}
			f.clock.move(ahead)
			if way != "while running" {
				f.restart()
			}
			for range 100 { // each end sweeps a part of what is in memory
				if err := f.Sessions.Logout(t.Context(), Subject{SessionID: newID()}); err != nil {
					t.Fatal(err)
				}
			}
			f.clock.move(-ahead)
			if way == "across two starts" {
				f.restart()
			}
			f.wantVerdict(t, "logged out, "+name+" ahead "+way, left, token.ErrRevoked)
			f.wantVerdict(t, "banned, "+name+" ahead "+way, banned, token.ErrRevoked)
		}
	}
}

func TestATokenYoungerThanAMinuteIsAnsweredWithItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	f.clock.move(time.Minute - time.Second)
	grant, err := f.Refresh(t.Context(), bearer)
	if err != nil || grant.Token != bearer || grant.ExpiresIn != f.cfg.TokenTTL-59*time.Second {
		t.Errorf("after 59 s: got another token: %t, for %v, %v; want the same, for what is left", grant.Token != bearer, grant.ExpiresIn, err)
	}
	f.clock.move(time.Second)
	if f.mustRefresh(t, bearer) == bearer {
		t.Error("after a minute: got the same token, want another")
	}
}

func TestAUserWhoRefreshesAllTheTimeIsRememberedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	var old []string
	for range 200 {
		f.clock.move(20 * time.Second)
		if renewed := f.mustRefresh(t, bearer); renewed != bearer {
			old, bearer = append(old, bearer), renewed
		}
	}
	for range 2 {
		if got := f.Tokens.revoked.Len(); got != 1 {
			t.Errorf("%d revocations are in memory after %d refreshes, want 1", got, len(old))
		}
		if kept, err := f.store.Revocations(t.Context(), 0, 1000); len(kept) != 1 || err != nil {
			t.Errorf("%d revocations are on disk, %v; want 1", len(kept), err)
		}
		f.wantVerdict(t, "the current token", bearer, nil)
		for _, replaced := range old[:len(old)-1] {
			f.wantVerdict(t, "a replaced token", replaced, token.ErrRevoked)
		}
		f.restart()
	}
	if _, err := f.Refresh(t.Context(), old[3]); !errors.Is(err, token.ErrReused) {
		t.Errorf("an old token comes back: %v, want %v", err, token.ErrReused)
	}
	f.wantVerdict(t, "the session then", bearer, token.ErrRevoked)
}

func TestASnapshotOfARunningStoreTakesNoTokenFromAfterIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alice := f.loginAs(t, "alice").Token
	f.clock.move(time.Second)
	f.loginAs(t, "alice")
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	if err := os.CopyFS(snapshot, os.DirFS(f.dir)); err != nil { // the store is open
		t.Fatal(err)
	}
	at := f.loginAs(t, "bob").Token // in the second of the snapshot
	f.clock.move(time.Second)
	bob := f.loginAs(t, "bob").Token
	f.putBack(t, snapshot)
	if id := f.loginAs(t, "carol").User.ID; id != 2 {
		t.Errorf("carol is user %d, want 2: the id is given again", id)
	}
	for _, when := range []string{"at the first start", "at the second"} {
		f.wantVerdict(t, when+", alice, from before the snapshot", alice, nil)
		f.wantVerdict(t, when+", bob, of the same epoch, from after it", bob, token.ErrRevoked)
		f.wantVerdict(t, when+", bob, of its very second", at, token.ErrRevoked)
		f.restart()
	}
}

// TestARefreshThatIsRepeatedAfterARestartGivesTheSameToken has the answer of a refresh lost in a restart. The token that the
// repetition gives must hold after another restart too, though nothing was written in between.
func TestARefreshThatIsRepeatedAfterARestartGivesTheSameToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.loginAs(t, "alice").Token
	f.clock.move(2 * time.Minute)
	first, err := f.Refresh(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	f.restart()
	again, err := f.Refresh(t.Context(), old)
	if err != nil || again.Token != first.Token {
		t.Errorf("the repetition gave %s, %v; want %s", again.Token, err, first.Token)
	}
	f.restart()
	f.wantVerdict(t, "the token of the repetition, after another restart", again.Token, nil)
}

// TestASnapshotStaysClosedWhateverIsWrittenBeforeTheFirstLogin writes to the folder that was put back before anybody logs in: what
// the lost state issued after the snapshot must not become part of it.
func TestASnapshotStaysClosedWhateverIsWrittenBeforeTheFirstLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alice := f.loginAs(t, "alice")
	f.clock.move(time.Second)
	f.loginAs(t, "alice")
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	if err := os.CopyFS(snapshot, os.DirFS(f.dir)); err != nil { // the store is open
		t.Fatal(err)
	}
	f.clock.move(2 * time.Second)
	bob := f.loginAs(t, "bob").Token
	f.clock.move(2 * time.Second)
	f.putBack(t, snapshot)
	if _, err := f.Users.AddCounters(t.Context(), alice.User.ID, Counters{Recipes: 1}); err != nil {
		t.Fatal(err)
	}
	f.restart()
	f.wantVerdict(t, "bob, after a write and a restart", bob, token.ErrRevoked)
	if id := f.loginAs(t, "carol").User.ID; id != 2 {
		t.Fatalf("carol is user %d, want 2: the id is given again", id)
	}
	f.restart()
	f.wantVerdict(t, "bob, when carol has his id", bob, token.ErrRevoked)
	f.wantVerdict(t, "alice, from before the snapshot", alice.Token, nil)
}
