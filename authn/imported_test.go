package authn

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/authn/token"
	"wxgate/lograte"
	"wxgate/storage"
)

// foreignToken is what an existing backend signs with our key: no kid, no sid, no iss.
func (f *fixture) foreignToken(claims string) string {
	g := &forge{fixture: f, secret: []byte(f.key.Secret.Reveal())}
	return g.signed(segment(`{"alg":"HS256","typ":"JWT"}`), segment(claims))
}

func newMigration(t *testing.T, accept bool) *fixture {
	t.Helper()
	f := newFixtureWith(t, func(cfg *Config) { cfg.AcceptForeign = accept })
	if err := f.importUser(t, storage.User{ID: 42, OpenID: "oOld42", Nickname: "老用户"}); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestATokenOfAnExistingBackendWorksAndBecomesOurs(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	exp := f.clock.Now().Add(time.Hour).Unix()
	for name, claims := range map[string]string{
		"a numeric sub":          fmt.Sprintf(`{"sub":42,"openid":"oOld42","iat":%d,"exp":%d}`, exp-3700, exp),
		"a sub that is a string": fmt.Sprintf(`{"sub":"42","openid":"oOld42","iat":%d,"exp":%d}`, exp-3699, exp),
		"no openid":              fmt.Sprintf(`{"sub":42,"iat":%d,"exp":%d}`, exp-3698, exp),
		"more claims":            fmt.Sprintf(`{"sub":42,"role":"user","iat":%d,"exp":%d}`, exp-3697, exp),
	} {
		bearer := f.foreignToken(claims)
		f.wantVerdict(t, name, bearer, nil)
		if got := f.subjectOf(t, bearer); got.UserID != 42 || got.OpenID != "oOld42" || got.Nickname != "老用户" {
			t.Errorf("%s: speaks for %+v, want user 42", name, got)
		}
		ours := f.mustRefresh(t, bearer)
		f.wantVerdict(t, name+", refreshed", ours, nil)
		if got := f.subjectOf(t, ours); got.UserID != 42 || ours == bearer {
			t.Errorf("%s: refreshed to %+v", name, got)
		}
		if again := f.mustRefresh(t, bearer); again != ours {
			t.Errorf("%s: a second refresh gave another token", name)
		}
	}
}

func TestAForeignTokenThatIsNotOneOfOursToTakeIsRefused(t *testing.T) {
	t.Parallel()
	f, off := newMigration(t, true), newMigration(t, false)
	exp := f.clock.Now().Add(time.Hour).Unix()
	good := fmt.Sprintf(`{"sub":42,"openid":"oOld42","iat":%d,"exp":%d}`, exp-3700, exp)
	off.wantVerdict(t, "with accept_foreign off", off.foreignToken(good), token.ErrInvalid)
	for name, claims := range map[string]string{
		"somebody else's openid": fmt.Sprintf(`{"sub":42,"openid":"oOther","iat":1,"exp":%d}`, exp),
		"an unknown user":        fmt.Sprintf(`{"sub":43,"openid":"oOld42","iat":1,"exp":%d}`, exp),
		"no exp":                 `{"sub":42,"openid":"oOld42","iat":1}`,
		"no sub":                 fmt.Sprintf(`{"openid":"oOld42","iat":1,"exp":%d}`, exp),
		"an audience":            fmt.Sprintf(`{"sub":42,"aud":"x","iat":1,"exp":%d}`, exp),
		"expired":                fmt.Sprintf(`{"sub":42,"iat":1,"exp":%d}`, exp-7200),
	} {
		if err := f.verdict(f.foreignToken(claims)); !isRefusal(err) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	g := &forge{fixture: f, secret: []byte("another secret, another secret, another")}
	f.wantVerdict(t, "another key", g.signed(segment(`{"alg":"HS256","typ":"JWT"}`), segment(good)), token.ErrInvalid)
	ours := &forge{fixture: f, secret: []byte(f.key.Secret.Reveal())}
	for _, header := range []string{`{"alg":"none","typ":"JWT"}`, `{"alg":"HS512","typ":"JWT"}`, `{"alg":"HS256","typ":"JWT","jku":"x"}`, `{"alg":"HS256","alg":"none"}`} {
		if err := f.verdict(ours.signed(segment(header), segment(good))); !isRefusal(err) {
			t.Errorf("header %s: %v, want a refusal", header, err)
		}
	}
}

func TestAForeignTokenIsLoggedOutAndReusedLikeOneOfOurs(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	exp := f.clock.Now().Add(48 * time.Hour).Unix()
	bearer := func(iat int64) string {
		return f.foreignToken(fmt.Sprintf(`{"sub":42,"openid":"oOld42","iat":%d,"exp":%d}`, iat, exp))
	}
	if err := f.Sessions.Logout(t.Context(), f.subjectOf(t, bearer(1))); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "after logout", bearer(1), token.ErrRevoked)
	f.restart()
	f.wantVerdict(t, "after logout and a restart", bearer(1), token.ErrRevoked)
	if _, err := f.Refresh(t.Context(), bearer(1)); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("refresh after logout: %v, want %v", err, token.ErrRevoked)
	}
	ours := f.mustRefresh(t, bearer(2))
	f.clock.move(f.cfg.Refresh.Grace)
	f.wantVerdict(t, "the foreign token after its grace", bearer(2), token.ErrRevoked)
	if _, err := f.Refresh(t.Context(), bearer(2)); !errors.Is(err, token.ErrReused) {
		t.Errorf("refresh after the grace: %v, want %v", err, token.ErrReused)
	}
	f.wantVerdict(t, "what it was refreshed to", ours, token.ErrRevoked)
}

func TestALongForeignTokenStaysLoggedOutAsLongAsItLives(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	year := 365 * 24 * time.Hour
	bearer := f.foreignToken(fmt.Sprintf(`{"sub":42,"iat":1,"exp":%d}`, f.clock.Now().Add(year).Unix()))
	if err := f.Sessions.Logout(t.Context(), f.subjectOf(t, bearer)); err != nil {
		t.Fatal(err)
	}
	f.clock.move(year - time.Hour)
	f.wantVerdict(t, "most of a year after logout", bearer, token.ErrRevoked)
	f.restart()
	f.wantVerdict(t, "and after a restart", bearer, token.ErrRevoked)
}

func TestEndingAllSessionsEndsForeignTokensThatWereNeverRefreshed(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	mint := func() string {
		now := f.clock.Now()
		return f.foreignToken(fmt.Sprintf(`{"sub":42,"iat":%d,"exp":%d}`, now.Unix(), now.Add(time.Hour).Unix()))
	}
	before := mint()
	f.wantVerdict(t, "before", before, nil)
	if _, err := f.Sessions.EndAll(t.Context(), 42); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "a foreign token of before", before, token.ErrRevoked)
	f.restart()
	f.wantVerdict(t, "and after a restart", before, token.ErrRevoked)
	f.clock.move(2 * time.Second)
	f.wantVerdict(t, "one that the backend issued later", mint(), nil)
}

func TestACachedForeignTokenStaysRefusedWhenItsUserIsErased(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	bearer := f.foreignToken(fmt.Sprintf(`{"sub":42,"iat":1,"exp":%d}`, f.clock.Now().Add(300*24*time.Hour).Unix()))
	v, err := f.Tokens.verify(t.Context(), bearer)
	if err != nil {
		t.Fatal(err)
	}
	f.Tokens.keys.Load().cache.put(bearer, v)
	if err := f.Users.Erase(t.Context(), 42); err != nil {
		t.Fatal(err)
	}
	f.clock.move(299 * 24 * time.Hour)
	f.wantVerdict(t, "a cached token of an erased user", bearer, token.ErrRevoked)
}

func TestParallelRefreshesOfAForeignTokenGetOneToken(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	bearer := f.foreignToken(fmt.Sprintf(`{"sub":42,"iat":1,"exp":%d}`, f.clock.Now().Add(time.Hour).Unix()))
	answers := make([]string, 32)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			if grant, err := f.Refresh(t.Context(), bearer); err != nil {
				t.Errorf("caller %d: %v", i, err)
			} else {
				answers[i] = grant.Token
			}
		})
	}
	all.Wait()
	for i, got := range answers {
		if got != answers[0] {
			t.Errorf("caller %d got another token", i)
		}
	}
}

// TestAForeignTokenSpeaksForNobodyWhoGotItsIDLater is the folder that was put back without `wxgate restore`: bob, whom the
// backend knows as user 2, came over after the backup, and carol got his id.
func TestAForeignTokenSpeaksForNobodyWhoGotItsIDLater(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, func(cfg *Config) { cfg.AcceptForeign = true })
	if err := f.importUser(t, storage.User{ID: 1, OpenID: "oAlice"}); err != nil {
		t.Fatal(err)
	}
	mint := func(sub int) string {
		now := f.clock.Now()
		return f.foreignToken(fmt.Sprintf(`{"sub":%d,"iat":%d,"exp":%d}`, sub, now.Unix(), now.Add(time.Hour).Unix()))
	}
	copied := f.backUp(t)
	if err := f.importUser(t, storage.User{ID: 2, OpenID: "oBob"}); err != nil {
		t.Fatal(err)
	}
	alice, bob := mint(1), mint(2)
	f.wantVerdict(t, "bob, before", bob, nil)
	f.clock.move(time.Minute)
	f.putBack(t, copied)
	carol := f.loginAs(t, "carol").User
	if carol.ID != 2 {
		t.Fatalf("carol is user %d, want 2: the id is given again", carol.ID)
	}
	f.clock.move(time.Second)
	for _, when := range []string{"at the first start", "at the second"} {
		if err := f.verdict(bob); !isRefusal(err) {
			t.Errorf("%s, bob's token: %v, want a refusal: it speaks for carol", when, err)
		}
		if err := f.verdict(mint(2)); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s, bob's next token of the backend: %v, want %v", when, err, token.ErrInvalid)
		}
		f.wantVerdict(t, when+", alice's token from before", alice, token.ErrRevoked)
		f.wantVerdict(t, when+", alice's next token of the backend", mint(1), nil)
		f.restart()
	}
	named := f.foreignToken(fmt.Sprintf(`{"sub":2,"openid":%q,"iat":%d,"exp":%d}`, carol.OpenID,
		f.clock.Now().Unix(), f.clock.Now().Add(time.Hour).Unix()))
	f.wantVerdict(t, "a token that names carol", named, nil)
}

// TestLoggingOutEverywhereTwiceWithTheClockSetBackBringsNoForeignTokenBack ends foreign tokens twice, the second time by a clock
// that is an hour behind.
func TestLoggingOutEverywhereTwiceWithTheClockSetBackBringsNoForeignTokenBack(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	now := f.clock.Now()
	bearer := f.foreignToken(fmt.Sprintf(`{"sub":42,"iat":%d,"exp":%d}`, now.Unix()-60, now.Add(time.Hour).Unix()))
	for _, step := range []time.Duration{0, -time.Hour, time.Hour} {
		f.clock.move(step)
		if _, err := f.Sessions.EndAll(t.Context(), 42); err != nil {
			t.Fatal(err)
		}
		if err := f.verdict(bearer); !isRefusal(err) {
			t.Errorf("the clock set by %v: %v, want a refusal", step, err)
		}
		f.clock.move(-step)
		f.wantVerdict(t, fmt.Sprintf("after the clock was set by %v", step), bearer, token.ErrRevoked)
		f.restart()
		f.wantVerdict(t, "and after a restart", bearer, token.ErrRevoked)
	}
}

// TestAFloodOfForeignTokensIsALineASecond: an app that still has the token of a user whom nobody imported sends it with
// every request.
func TestAFloodOfForeignTokensIsALineASecond(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	var log bytes.Buffer
	f.Tokens.often = lograte.New(slog.New(slog.NewTextHandler(&log, nil)), f.clock.Now)
	for _, claims := range []string{`{"sub":43,"iat":1,"exp":%d}`, `{"sub":42,"openid":"oOther","iat":1,"exp":%d}`, `{"sub":42,"type":"refresh","iat":1,"exp":%d}`} {
		bearer := f.foreignToken(fmt.Sprintf(claims, f.clock.Now().Add(time.Hour).Unix()))
		for range 50 {
			f.wantVerdict(t, claims, bearer, token.ErrInvalid)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("got %d lines of 50 tokens of 3 kinds, want 3:\n%s", n, log.String())
	}
}
