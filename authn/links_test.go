package authn

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/storage"
)

const otherAppID = "wx2222222222222222"

// doors is WeChat for a mini-program of one Open Platform account: a code begins with the name of a person.
type doors struct {
	WeChat

	appID string
}

// Code2Session names the person by the unionid, and has an openid and a session_key for each mini-program.
func (d doors) Code2Session(_ context.Context, code string) (wechat.Session, error) {
	person, _, _ := strings.Cut(code, "-")
	key := md5.Sum([]byte(person + d.appID))
	return wechat.Session{OpenID: person + "-" + d.appID, UnionID: "union-" + person, SessionKey: base64.StdEncoding.EncodeToString(key[:])}, nil
}

// newLinked is a fixture of two mini-programs, whose accounts are linked.
func newLinked(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	f := newFixtureWith(t, func(cfg *Config) {
		cfg.Link = LinkUnionID
		if change != nil {
			change(cfg)
		}
	})
	both := map[string]WeChat{testAppID: doors{appID: testAppID}, otherAppID: doors{appID: otherAppID}}
	f.apps = newApps(Deps{Apps: both, Budget: patience, Now: f.clock.Now}, f.metrics)
	f.OpenData.apps, f.Users.apps, f.Users.content.apps = f.apps, f.apps, f.apps
	return f
}

func (f *fixture) through(appID, person string) (Grant, error) {
	return f.Login(context.Background(), Login{AppID: appID, Code: person + "-" + newID()})
}

func (f *fixture) mustThrough(t *testing.T, appID, person string) Grant {
	t.Helper()
	grant, err := f.through(appID, person)
	if err != nil {
		t.Fatalf("%s through %s: %v", person, appID, err)
	}
	return grant
}

// wantSubject checks as whom a token speaks, and through which mini-program.
func (f *fixture) wantSubject(t *testing.T, what, bearer string, userID int64, appID, person string) {
	t.Helper()
	if s := f.subjectOf(t, bearer); s.UserID != userID || s.AppID != appID || s.OpenID != person+"-"+appID {
		t.Errorf("%s speaks for user %d, %s in %s; want %d, %s in %s", what, s.UserID, s.OpenID, s.AppID, userID, person+"-"+appID, appID)
	}
}

func TestTokensOfOnePersonCarryOneID(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	first := f.mustThrough(t, testAppID, "alice")
	second := f.mustThrough(t, otherAppID, "alice")
	stranger := f.mustThrough(t, otherAppID, "bob")
	f.wantSubject(t, "the first token", first.Token, 1, testAppID, "alice")
	f.wantSubject(t, "the token of the other mini-program", second.Token, 1, otherAppID, "alice")
	f.wantSubject(t, "somebody else's", stranger.Token, 3, otherAppID, "bob")
	if second.Created || second.User.OpenID != "alice-"+otherAppID {
		t.Errorf("the login says %+v, created %v", second.User, second.Created)
	}
	f.clock.move(time.Hour)
	refreshed := f.mustRefresh(t, second.Token)
	f.wantSubject(t, "a refreshed one", refreshed, 1, otherAppID, "alice")
	cloud, err := f.CloudSubject(t.Context(), CloudIdentity{AppID: otherAppID, OpenID: "alice-" + otherAppID})
	if err != nil || cloud.UserID != 1 || cloud.AppID != otherAppID {
		t.Errorf("a request that Cloud Run vouches for is %+v, %v; want user 1", cloud, err)
	}
	prefetched, err := f.Prefetched(t.Context(), Prefetch{AppID: otherAppID, Code: "alice-" + newID()})
	if err != nil || prefetched.UserID != 1 || prefetched.AppID != otherAppID {
		t.Errorf("a pre-fetch is %+v, %v; want user 1", prefetched, err)
	}
	if me, err := f.Users.Of(t.Context(), f.subjectOf(t, refreshed)); err != nil || me.ID != 1 || me.OpenID != "alice-"+otherAppID {
		t.Errorf("the user of the token is %+v, %v", me, err)
	}
	sessions, err := f.Sessions.List(t.Context(), 1, storage.SessionCursor{}, 10)
	if err != nil || len(sessions) != 2 {
		t.Errorf("%d sessions, %v; want those of both mini-programs", len(sessions), err)
	}
	if n, err := f.Sessions.EndAll(t.Context(), 1); err != nil || n != 2 {
		t.Errorf("%d sessions ended, %v", n, err)
	}
	f.wantVerdict(t, "the token of the other mini-program", refreshed, token.ErrRevoked)
	f.wantVerdict(t, "somebody else's", stranger.Token, nil)
}

func TestTheOldTokensOfALinkedAccountEndAtOnce(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	f.Authn.cfg.Link = ""
	f.mustThrough(t, testAppID, "alice")
	old := f.mustThrough(t, otherAppID, "alice")
	f.wantSubject(t, "a token of before", old.Token, 2, otherAppID, "alice")
	f.Authn.cfg.Link = LinkUnionID
	later := f.mustThrough(t, otherAppID, "alice")
	f.wantSubject(t, "one of after", later.Token, 1, otherAppID, "alice")
	f.wantVerdict(t, "the one of before", old.Token, token.ErrRevoked)
	if _, err := f.Refresh(t.Context(), old.Token); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("refreshing it: %v, want ErrRevoked", err)
	}
	f.restart()
	f.wantVerdict(t, "the one of before, after a restart", old.Token, token.ErrRevoked)
	f.wantVerdict(t, "the one of after", later.Token, nil)
}

func TestSessionKeysStayWithTheirMiniProgram(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	first, second := f.mustThrough(t, testAppID, "alice"), f.mustThrough(t, otherAppID, "alice")
	for appID, grant := range map[string]Grant{testAppID: first, otherAppID: second} {
		session, _ := doors{appID: appID}.Code2Session(t.Context(), "alice-")
		want := wechat.HMACSignature("{}", session.SessionKey)
		key, err := f.OpenData.SigningKey(t.Context(), f.subjectOf(t, grant.Token).UserID, appID)
		if err != nil || key.Sign("{}") != want {
			t.Errorf("the key for %s is another, %v", appID, err)
		}
		if key, err = f.OpenData.SigningKeyOf(t.Context(), appID, "alice-"+appID); err != nil || key.Sign("{}") != want {
			t.Errorf("the key of the openid in %s is another, %v", appID, err)
		}
		_, keys, err := f.OpenData.keysOf(t.Context(), 1, appID)
		if err != nil || len(keys) != 1 || keys[0].Key != session.SessionKey {
			t.Errorf("data of %s are decrypted with %d keys, %v", appID, len(keys), err)
		}
	}
	_, err := f.OpenData.SigningKey(t.Context(), 1, "wx3333333333333333")
	if field, isField := errors.AsType[*FieldError](err); !isField || field.Field != "appid" {
		t.Errorf("the key for another mini-program: %v", err)
	}
	if _, err := f.OpenData.SigningKey(t.Context(), 99, testAppID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the key of nobody: %v", err)
	}
}

func TestABanIsOfThePerson(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	later := f.clock.Now().Add(24 * time.Hour)
	first, second := f.mustThrough(t, testAppID, "alice"), f.mustThrough(t, otherAppID, "alice")
	if err := f.Users.Ban(t.Context(), 2, later); !errors.Is(err, storage.ErrLinked) || !strings.Contains(err.Error(), "user, 1:") {
		t.Errorf("a ban of the account: %v, want what to do instead", err)
	}
	if err := f.Users.Erase(t.Context(), 2); !errors.Is(err, storage.ErrLinked) {
		t.Errorf("an erasure of the account: %v", err)
	}
	if _, err := f.Users.AddCounters(t.Context(), 2, Counters{Recipes: 1}); !errors.Is(err, storage.ErrLinked) {
		t.Errorf("counters of the account, which nobody sees: %v", err)
	}
	if err := f.Users.Ban(t.Context(), 1, later); err != nil {
		t.Fatal(err)
	}
	for appID, grant := range map[string]Grant{testAppID: first, otherAppID: second} {
		f.wantVerdict(t, "a token of "+appID, grant.Token, token.ErrRevoked)
		if _, err := f.through(appID, "alice"); !errors.Is(err, ErrUserBanned) {
			t.Errorf("a login through %s: %v, want ErrUserBanned", appID, err)
		}
	}
	if _, err := f.CloudSubject(t.Context(), CloudIdentity{AppID: otherAppID, OpenID: "alice-" + otherAppID}); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("a request that Cloud Run vouches for: %v", err)
	}
	f.mustThrough(t, testAppID, "bob")
	if err := f.Users.Ban(t.Context(), 3, later); err != nil {
		t.Fatal(err)
	}
	if _, err := f.through(otherAppID, "bob"); !errors.Is(err, ErrUserBanned) {
		t.Errorf("who is banned comes through another mini-program: %v", err)
	}
}

func TestUnlinkingEndsWhatBeganThroughTheAccount(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	first, second := f.mustThrough(t, testAppID, "alice"), f.mustThrough(t, otherAppID, "alice")
	if err := f.Users.Unlink(t.Context(), 1); !errors.Is(err, storage.ErrNotLinked) {
		t.Errorf("unlinking the user: %v", err)
	}
	if err := f.Users.Unlink(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "the token of the account", second.Token, token.ErrRevoked)
	f.wantVerdict(t, "that of the user", first.Token, nil)
	f.wantSubject(t, "the next token", f.mustThrough(t, otherAppID, "alice").Token, 2, otherAppID, "alice")
	f.wantSubject(t, "one of the user", f.mustThrough(t, testAppID, "alice").Token, 1, testAppID, "alice")
}

func TestAnImportedTokenOfALinkedAccountIsRefused(t *testing.T) {
	t.Parallel()
	f := newLinked(t, func(cfg *Config) { cfg.AcceptForeign = true })
	f.Authn.cfg.Link = ""
	f.mustThrough(t, testAppID, "alice")
	f.mustThrough(t, otherAppID, "alice")
	now := f.clock.Now().Unix()
	claims := fmt.Sprintf(`{"sub":2,"openid":"alice-%s","iat":%%d,"exp":%d}`, otherAppID, now+86400)
	before := f.foreignToken(fmt.Sprintf(claims, now-10))
	f.wantVerdict(t, "a token of the existing backend", before, nil) // and it is in the cache now
	f.Authn.cfg.Link = LinkUnionID
	f.mustThrough(t, otherAppID, "alice")
	f.wantVerdict(t, "the same token", before, token.ErrRevoked)
	f.wantVerdict(t, "a later one", f.foreignToken(fmt.Sprintf(claims, now)), token.ErrRevoked)
}

// merging is a service that accepts everything but that two users are one, until it is told to.
type merging struct {
	waiting

	users *Users
}

func (m *merging) Waits() bool { return false }

func (m *merging) Tell(ctx context.Context, userID int64) error {
	for {
		next, err := m.store.NextEvent(ctx, userID)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return nil
		case err != nil:
			return err
		case next.Type != storage.EventMerged:
			err = next.Told(ctx)
		case !m.accepts:
			return ErrUserService
		default:
			m.asked = append(m.asked, next.Into)
			err = m.users.Linked(ctx, next)
		}
		if err != nil {
			return err
		}
	}
}

func TestTheFirstTokenCarriesTheOlderIDIfTheServiceAnswers(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	f.store.RecordEvents(true)
	service := &merging{waiting{store: f.store.Store}, f.Users}
	f.Authn.announcer = service
	f.mustThrough(t, testAppID, "alice")
	if err := service.Tell(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	own := f.mustThrough(t, otherAppID, "alice")
	f.wantSubject(t, "a token while the service refuses", own.Token, 2, otherAppID, "alice")
	if !own.Created {
		t.Error("the user is not new")
	}
	service.accepts = true
	again := f.mustThrough(t, otherAppID, "alice")
	f.wantSubject(t, "a later one, before it is asked again", again.Token, 2, otherAppID, "alice")
	if err := service.Tell(t.Context(), 2); err != nil { // in the background
		t.Fatal(err)
	}
	f.wantVerdict(t, "the token of before", own.Token, token.ErrRevoked)
	f.wantSubject(t, "one of after", f.mustThrough(t, otherAppID, "alice").Token, 1, otherAppID, "alice")

	f.mustThrough(t, testAppID, "bob")
	if err := service.Tell(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	bob := f.mustThrough(t, otherAppID, "bob")
	f.wantSubject(t, "the first token, while the service answers", bob.Token, 3, otherAppID, "bob")
	if bob.Created || len(service.asked) != 2 {
		t.Errorf("created %v, and the service was asked %d times, want twice", bob.Created, len(service.asked))
	}
}

func TestADeletionAndALinkDoNotMeet(t *testing.T) {
	t.Parallel()
	f := newLinked(t, func(cfg *Config) { cfg.DeletionGrace = 24 * time.Hour })
	first := f.mustThrough(t, testAppID, "alice")
	f.mustThrough(t, otherAppID, "alice")
	if _, err := f.request(t, first.Token); err != nil {
		t.Fatal(err)
	}
	back := f.mustThrough(t, otherAppID, "alice") // through the other mini-program, and takes it back
	f.wantSubject(t, "the token", back.Token, 1, otherAppID, "alice")
	if _, err := f.Deletions.Of(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the deletion: %v, want none", err)
	}
	if _, err := f.request(t, f.mustThrough(t, testAppID, "bob").Token); err != nil {
		t.Fatal(err)
	}
	f.wantSubject(t, "who comes anew meanwhile", f.mustThrough(t, otherAppID, "bob").Token, 4, otherAppID, "bob")
	f.clock.move(25 * time.Hour)
	if err := f.Deletions.eraseDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Users.ByID(t.Context(), 3); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("who asked to be erased: %v", err)
	}
	f.wantSubject(t, "who came anew", f.mustThrough(t, otherAppID, "bob").Token, 4, otherAppID, "bob")
}
