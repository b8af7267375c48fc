package authn

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"wxgate/authn/token"
	"wxgate/storage"
)

// request asks for the erasure of a token's user.
func (f *fixture) request(t *testing.T, bearer string) (time.Time, error) {
	t.Helper()
	return f.Deletions.Request(t.Context(), f.subjectOf(t, bearer))
}

func TestOnlyAFreshLoginErases(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	f.clock.move(freshLogin + time.Second)
	if _, err := f.request(t, bearer); !errors.Is(err, ErrLoginTooOld) {
		t.Errorf("a login of five minutes ago: %v, want ErrLoginTooOld", err)
	}
	refreshed := f.mustRefresh(t, bearer)
	if _, err := f.request(t, refreshed); !errors.Is(err, ErrLoginTooOld) {
		t.Errorf("a refresh is no login: %v, want ErrLoginTooOld", err)
	}
	if _, err := f.request(t, f.loginAs(t, "alice").Token); err != nil {
		t.Fatalf("a fresh login: %v", err)
	}
	f.wantVerdict(t, "the other session's token", refreshed, token.ErrRevoked)
	if again := f.loginAs(t, "alice"); again.User.ID != 2 || !again.Created {
		t.Errorf("the same person again is user %d, created %v; want a new user 2", again.User.ID, again.Created)
	}
}

func TestATokenOfAnExistingBackendNeverErases(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, func(cfg *Config) { cfg.AcceptForeign = true })
	if err := f.importUser(t, storage.User{ID: 7, AppID: testAppID, OpenID: "oOld"}); err != nil {
		t.Fatal(err)
	}
	now := f.clock.Now().Unix()
	imported := f.foreignToken(fmt.Sprintf(`{"sub":7,"iat":%d,"exp":%d}`, now, now+86400))
	f.wantVerdict(t, "the token", imported, nil)
	if _, err := f.request(t, imported); !errors.Is(err, ErrLoginTooOld) {
		t.Errorf("an imported token: %v, want ErrLoginTooOld", err)
	}
	if _, err := f.request(t, f.mustRefresh(t, imported)); !errors.Is(err, ErrLoginTooOld) {
		t.Errorf("one of ours that came from it: %v, want ErrLoginTooOld", err)
	}
}

// gracious has a grace of a day.
func gracious(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, func(cfg *Config) { cfg.DeletionGrace = 24 * time.Hour })
}

func TestALoginTakesADeletionBack(t *testing.T) {
	t.Parallel()
	f := gracious(t)
	first := f.loginAs(t, "alice")
	other := f.loginAs(t, "alice").Token
	at, err := f.request(t, first.Token)
	if want := storage.Stamp(f.clock.Now().Add(24 * time.Hour)); err != nil || !at.Equal(want) {
		t.Fatalf("erased at %v, %v; want %v", at, err, want)
	}
	f.wantVerdict(t, "the token that asked", first.Token, token.ErrRevoked)
	f.wantVerdict(t, "that of another device", other, token.ErrRevoked)
	id := CloudIdentity{AppID: testAppID, OpenID: first.User.OpenID}
	if _, err := f.CloudSubject(t.Context(), id); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("a request of WeChat Cloud Run meanwhile: %v, want ErrRevoked", err)
	}
	if _, err := f.Prefetched(t.Context(), Prefetch{Code: f.weChat.IssueCode("alice")}); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("a prefetch meanwhile: %v, want ErrRevoked", err)
	}
	f.restart()
	f.clock.move(23 * time.Hour)
	if back := f.loginAs(t, "alice"); back.User.ID != 1 || back.Created {
		t.Errorf("back as user %d, created %v; want user 1", back.User.ID, back.Created)
	}
	if _, err := f.Deletions.Of(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the deletion: %v, want none", err)
	}
	f.clock.move(2 * time.Hour)
	if err := f.Deletions.eraseDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := f.loginAs(t, "alice"); again.User.ID != 1 {
		t.Errorf("she is user %d, want 1", again.User.ID)
	}
}

func TestADeletionHappensWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	f := gracious(t)
	for _, person := range []string{"alice", "bob"} {
		if _, err := f.request(t, f.loginAs(t, person).Token); err != nil {
			t.Fatal(err)
		}
		f.clock.move(time.Hour)
	}
	f.clock.move(22*time.Hour + 30*time.Minute) // hers is due, his is not
	f.restart()
	f.store.RecordEvents(true)
	if err := f.Deletions.eraseDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Users.ByID(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("alice: %v, want ErrNotFound", err)
	}
	if _, err := f.Users.ByID(t.Context(), 2); err != nil {
		t.Errorf("bob: %v", err)
	}
	told, err := f.store.NextEvent(t.Context(), 1)
	if err != nil || told.Type != storage.EventErased {
		t.Errorf("the service is told %v, %v; want that she was erased", told, err)
	}
	if again := f.loginAs(t, "alice"); again.User.ID != 3 {
		t.Errorf("alice comes back as user %d, want 3", again.User.ID)
	}
}
