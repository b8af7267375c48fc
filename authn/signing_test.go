package authn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// TestARefusedKeySignsAgainOnceALoginYieldsIt since WeChat gives one session_key to several logins.
func TestARefusedKeySignsAgainOnceALoginYieldsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grant := f.loginAs(t, "alice")
	text := f.keyOf(t, grant.User.ID)
	key, err := f.OpenData.SigningKey(t.Context(), grant.User.ID, testAppID)
	if err != nil || key.Sign("x") != wechat.HMACSignature("x", text) {
		t.Fatalf("the newest key: %v", err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", key, key, key); strings.Contains(shown, text) {
		t.Errorf("a key that is printed shows %s", shown)
	}
	f.clock.move(time.Second)
	if err := f.OpenData.MarkStale(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := f.OpenData.SigningKey(t.Context(), grant.User.ID, ""); !errors.Is(err, ErrSigningKeyStale) {
		t.Errorf("after WeChat refused it: %v, want %v", err, ErrSigningKeyStale)
	}
	f.clock.move(time.Second)
	again := storage.Login{AppID: testAppID, OpenID: grant.User.OpenID, SessionKey: storage.SessionKey{Key: text, At: f.clock.Now()}}
	if _, err := f.store.Login(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if _, err := f.OpenData.SigningKeyOf(t.Context(), testAppID, grant.User.OpenID); err != nil {
		t.Errorf("after a login that yielded it again: %v", err)
	}
}

func TestAUserWithoutAKeySignsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	imported, err := f.store.ImportUsers(t.Context(), []storage.User{{ID: 7, AppID: testAppID, OpenID: "oImported"}})
	if err != nil || imported[0].Err != nil {
		t.Fatal(err, imported)
	}
	if _, err := f.OpenData.SigningKey(t.Context(), 7, ""); !errors.Is(err, ErrSigningKeyStale) {
		t.Errorf("an imported user: %v, want %v", err, ErrSigningKeyStale)
	}
	if _, err := f.OpenData.SigningKeyOf(t.Context(), testAppID, "oNobody"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("nobody: %v, want %v", err, storage.ErrNotFound)
	}
	if _, err := f.OpenData.SigningKey(t.Context(), f.loginAs(t, "alice").User.ID, "wx9"); !errors.Is(err, ErrInvalidRequest) {
		t.Errorf("another mini-program: %v, want %v", err, ErrInvalidRequest)
	}
}
