package authn

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger"
)

const testAppID = "wx1111111111111111"

// patience is how long the sandbox may take: a busy test machine stops us for longer than WeChat's three seconds.
const patience = 15 * time.Second

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is an Authn on a real store on disk and a sandbox WeChat over HTTP.
type fixture struct {
	*Authn
	change  func(*Config) // of the configuration; nil: none
	clock   *clock
	weChat  *sandbox.Sandbox
	store   *badger.Store
	dir     string
	key     token.KeyConfig
	restart func() *fixture
}

func testKey(id string) token.KeyConfig {
	return token.KeyConfig{ID: id, Secret: secret.Text(id + strings.Repeat("k", minSecretBytes))}
}

func newFixture(t testing.TB) *fixture { return newFixtureWith(t, nil) }

func newFixtureWith(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{clock: newClock(), dir: t.TempDir(), key: testKey("main"), change: change}
	f.weChat = newSandbox(t)
	f.open(t)
	f.restart = func() *fixture {
		t.Helper()
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
		f.open(t)
		return f
	}
	return f
}

func newSandbox(t testing.TB) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{AppID: testAppID, Secret: "sandbox-secret"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (f *fixture) open(t testing.TB) {
	t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = f.dir
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := badger.Open(cfg, prometheus.NewRegistry(), log, f.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	client := newClient(t, f.weChat.URL())
	authnCfg := DefaultConfig()
	authnCfg.Keys = []token.KeyConfig{f.key}
	if f.change != nil {
		f.change(&authnCfg)
	}
	a, err := New(t.Context(), authnCfg, Deps{
		Store: store, Apps: map[string]WeChat{testAppID: client}, Budget: patience, Metrics: prometheus.NewRegistry(), Log: log, Now: f.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.store, f.Authn = store, a
}

func newClient(t testing.TB, url string) *wechat.Client {
	t.Helper()
	cfg := wechat.DefaultConfig()
	cfg.AppID, cfg.Secret, cfg.BaseURL, cfg.Timeout = testAppID, "sandbox-secret", url, patience
	client, err := wechat.New(cfg, wechat.Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// loginAs logs a person in, as wx.login on their phone would.
func (f *fixture) loginAs(t testing.TB, person string) Grant {
	t.Helper()
	grant, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode(person)})
	if err != nil {
		t.Fatalf("login of %s: %v", person, err)
	}
	return grant
}

// Refresh refreshes a token as a request would.
func (f *fixture) Refresh(ctx context.Context, bearer string) (Grant, error) {
	return f.Sessions.Refresh(ctx, "Bearer "+bearer, func(int64) error { return nil })
}

// parse is what the gateway does with a token that was not seen before.
func (f *fixture) parse(bearer string) (*token.Payload, error) {
	return f.Tokens.Keys().Parse(bearer)
}

// verdict judges a token as a request would.
func (f *fixture) verdict(bearer string) error {
	v, err := f.Tokens.verify(context.Background(), bearer)
	if err != nil {
		return err
	}
	return f.Tokens.check(v, 0)
}

func (f *fixture) wantVerdict(t *testing.T, what, bearer string, want error) {
	t.Helper()
	if got := f.verdict(bearer); !errors.Is(got, want) {
		t.Errorf("%s: verify says %v, want %v", what, got, want)
	}
}

func (f *fixture) subjectOf(t *testing.T, bearer string) Subject {
	t.Helper()
	v, err := f.Tokens.verify(t.Context(), bearer)
	if err != nil {
		t.Fatal(err)
	}
	return v.subject
}

func TestALoginGivesATokenThatVerifies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grant := f.loginAs(t, "alice")
	f.wantVerdict(t, "a fresh token", grant.Token, nil)
	if grant.ExpiresIn != 7*24*time.Hour || grant.User.ID != 1 || !grant.Created {
		t.Errorf("got %v, user %d, created %v; want 168h, user 1, created", grant.ExpiresIn, grant.User.ID, grant.Created)
	}
	again := f.loginAs(t, "alice")
	if again.User.ID != 1 || again.Created {
		t.Errorf("second login: user %d, created %v; want user 1, found", again.User.ID, again.Created)
	}
}

func TestATokenEndsWithItsTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	f.clock.move(f.cfg.TokenTTL + f.cfg.Leeway - time.Second)
	f.wantVerdict(t, "within the leeway", bearer, nil)
	f.clock.move(time.Second)
	f.wantVerdict(t, "after the leeway", bearer, token.ErrExpired)
}

func TestLogoutEndsTheTokenAtOnceAndAfterARestart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer, other := f.loginAs(t, "alice").Token, f.loginAs(t, "alice").Token
	if err := f.Sessions.Logout(t.Context(), f.subjectOf(t, bearer)); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "after logout", bearer, token.ErrRevoked)
	f.wantVerdict(t, "another session of the same user", other, nil)
	f.restart()
	f.wantVerdict(t, "after logout and a restart", bearer, token.ErrRevoked)
	if _, err := f.Refresh(t.Context(), bearer); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("refresh after logout: %v, want %v", err, token.ErrRevoked)
	}
}

func TestAClockThatIsSetBackBringsNobodyBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer, bob := f.loginAs(t, "alice").Token, f.loginAs(t, "bob").Token
	f.clock.move(24 * time.Hour)
	if err := f.Sessions.Logout(t.Context(), f.subjectOf(t, bearer)); err != nil {
		t.Fatal(err)
	}
	if err := f.Users.Ban(t.Context(), 2, f.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.clock.move(-time.Hour)
	f.wantVerdict(t, "logged out, the clock set back", bearer, token.ErrRevoked)
	f.wantVerdict(t, "banned, the clock set back", bob, token.ErrRevoked)
	f.restart()
	f.wantVerdict(t, "logged out, set back, restarted", bearer, token.ErrRevoked)
	f.wantVerdict(t, "banned, set back, restarted", bob, token.ErrRevoked)
}

func TestATokenOfTheFutureIsRefusedBeyondTheLeeway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	f.clock.move(-f.cfg.Leeway)
	f.wantVerdict(t, "a clock that went back by the leeway", bearer, nil)
	f.clock.move(-time.Second)
	f.wantVerdict(t, "a second more", bearer, token.ErrInvalid)
	f.clock.move(-24 * time.Hour)
	f.wantVerdict(t, "a day more", bearer, token.ErrInvalid)
	f.clock.move(24*time.Hour + time.Second)
	f.wantVerdict(t, "the clock set right", bearer, nil)
}

func TestALeewayIsAMinuteAtMost(t *testing.T) {
	t.Parallel()
	for leeway, good := range map[time.Duration]bool{-1: false, 0: true, time.Minute: true, time.Minute + 1: false, time.Hour: false} {
		cfg := DefaultConfig()
		cfg.Keys, cfg.Leeway = []token.KeyConfig{{ID: "main", Secret: "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA"}}, leeway
		if faults := cfg.Validate(); (len(faults) == 0) != good {
			t.Errorf("a leeway of %v: got %v, want none: %t", leeway, faults, good)
		}
	}
}

func TestLogoutAllEndsEverySession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	phone, tablet, bob := f.loginAs(t, "alice").Token, f.loginAs(t, "alice").Token, f.loginAs(t, "bob").Token
	if err := f.Sessions.LogoutAll(t.Context(), f.subjectOf(t, phone)); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "this session", phone, token.ErrRevoked)
	f.wantVerdict(t, "the other session", tablet, token.ErrRevoked)
	f.wantVerdict(t, "somebody else's session", bob, nil)
	f.wantVerdict(t, "a login a moment later", f.loginAs(t, "alice").Token, nil)
}

func TestRefreshReplacesTheTokenAndTheOldOneLivesForItsGrace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.loginAs(t, "alice").Token
	f.clock.move(time.Hour)
	renewed := f.mustRefresh(t, old)
	if renewed == old {
		t.Fatal("refresh returned the old token")
	}
	f.wantVerdict(t, "the new token", renewed, nil)
	f.wantVerdict(t, "the old token within its grace", old, nil)
	if again := f.mustRefresh(t, old); again != renewed {
		t.Error("a second refresh of the old token within its grace gave another token")
	}
	f.clock.move(f.cfg.Refresh.Grace)
	f.wantVerdict(t, "the old token after its grace", old, token.ErrRevoked)
	f.wantVerdict(t, "the new token then", renewed, nil)
	f.restart()
	f.wantVerdict(t, "the old token after a restart", old, token.ErrRevoked)
}

func TestAReplacedTokenPresentedAfterItsGraceEndsTheSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.loginAs(t, "alice").Token
	f.clock.move(time.Minute)
	renewed := f.mustRefresh(t, old)
	f.clock.move(f.cfg.Refresh.Grace)
	if _, err := f.Refresh(t.Context(), old); !errors.Is(err, token.ErrReused) {
		t.Errorf("refresh with a replaced token: %v, want %v", err, token.ErrReused)
	}
	f.wantVerdict(t, "the token that replaced it", renewed, token.ErrRevoked)
}

func TestAnExpiredTokenIsRefreshedWithinTheWindowOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	late, tooLate := f.loginAs(t, "alice").Token, f.loginAs(t, "bob").Token
	f.clock.move(f.cfg.TokenTTL + f.cfg.Refresh.Window - time.Second)
	f.wantVerdict(t, "an expired token", late, token.ErrExpired)
	f.wantVerdict(t, "its successor", f.mustRefresh(t, late), nil)
	f.clock.move(f.cfg.Leeway + time.Second)
	if _, err := f.Refresh(t.Context(), tooLate); !errors.Is(err, token.ErrExpired) {
		t.Errorf("refresh after the window: %v, want %v", err, token.ErrExpired)
	}
}

func TestParallelRefreshesOfOneTokenGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.loginAs(t, "alice").Token
	f.clock.move(time.Minute)
	const callers = 64
	answers := make([]string, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			grant, err := f.Refresh(t.Context(), old)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			answers[i] = grant.Token
		})
	}
	all.Wait()
	for i, got := range answers {
		if got != answers[0] {
			t.Errorf("caller %d got another token than caller 0", i)
		}
	}
}

func (f *fixture) mustRefresh(t *testing.T, bearer string) string {
	t.Helper()
	grant, err := f.Refresh(t.Context(), bearer)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	return grant.Token
}

func TestEveryAnswerOfWeChatHasItsMeaning(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for code, want := range map[string]error{
		"err-40029": ErrCodeInvalid, "err-40163": ErrCodeUsed, "err-40226": ErrUserBlocked, "err-50002": ErrUserBlocked,
		"err-45011": ErrRateLimited, "err-45009": ErrBusy, "err--1": ErrBusy,
		"err-40013": ErrMisconfigured, "err-40125": ErrMisconfigured, "err-40243": ErrMisconfigured,
		"err-41002": ErrMisconfigured, "err-41004": ErrMisconfigured, "err-40002": ErrMisconfigured,
		"err-99999": ErrBadResponse, "broken-html-eve": ErrBadResponse, "broken-noopenid-eve": ErrBadResponse,
		"strcode-40029": ErrCodeInvalid, "unknown-code": ErrCodeInvalid,
	} {
		_, err := f.Login(t.Context(), Login{Code: code})
		var failed *WeChatError
		if !errors.Is(err, want) || !errors.As(err, &failed) {
			t.Errorf("login with %s: %v, want a WeChatError of kind %q", code, err, want)
		}
	}
}

func TestALoginThatMakesNoSenseNeverReachesWeChat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, l := range map[string]Login{
		"no code":             {},
		"a code of 10 KB":     {Code: strings.Repeat("a", 10<<10)},
		"a code with a query": {Code: "x&appid=other"},
	} {
		if _, err := f.Login(t.Context(), l); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%s: %v, want %v", name, err, ErrInvalidRequest)
		}
		if n := f.weChat.Seen(l.Code); n != 0 {
			t.Errorf("%s: WeChat saw the code %d times, want 0", name, n)
		}
	}
}

func TestAProfileThatDoesNotHoldIsLeftOutOfALogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long, control, script := strings.Repeat("名", maxNickname+1), "a\x00b", "javascript:alert(1)"
	for name, l := range map[string]Login{
		"a nickname too long":    {Nickname: &long},
		"a nickname with a NUL":  {Nickname: &control},
		"an avatar with scripts": {Avatar: &script},
	} {
		l.Code = f.weChat.IssueCode("eve")
		grant, err := f.Login(t.Context(), l)
		if err != nil || grant.User.Nickname != "" || grant.User.Avatar != "" {
			t.Errorf("%s: %v, %+v; want a login without it", name, err, grant.User)
		}
	}
}

func TestPlaceholdersNeverOverwriteAProfile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	name, face := "小爱🐟", "https://cdn.example/a.png"
	login := func(nickname, avatar string) storage.User {
		t.Helper()
		grant, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode("alice"), Nickname: &nickname, Avatar: &avatar})
		if err != nil {
			t.Fatal(err)
		}
		return grant.User
	}
	login(name, face)
	for _, placeholder := range []struct{ nickname, avatar string }{
		{"", ""},
		{"微信用户", "wxfile://tmp_abc.jpg"},
		{"微信用户", "http://tmp/abc.jpg"},
		{"", "https://thirdwx.qlogo.cn/mmopen/vi_32/" + anonymousAvatar + "/132"},
	} {
		if got := login(placeholder.nickname, placeholder.avatar); got.Nickname != name || got.Avatar != face {
			t.Errorf("login with %+v left %q, %q; want %q, %q", placeholder, got.Nickname, got.Avatar, name, face)
		}
	}
	if got := login("新名字", ""); got.Nickname != "新名字" {
		t.Errorf("a real nickname was not taken: %q", got.Nickname)
	}
}

func TestATokenOfAnotherStoreIsRefused(t *testing.T) {
	t.Parallel()
	f, other := newFixture(t), newFixture(t)
	f.wantVerdict(t, "a token of another store, same key", other.loginAs(t, "mallory").Token, token.ErrRevoked)
}

func TestAFailedStoreEndsTheLoginWithoutAToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.Login(context.Background(), Login{Code: f.weChat.IssueCode("alice")})
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("login without a store: %v, want %v", err, storage.ErrUnavailable)
	}
}
