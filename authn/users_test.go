package authn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/storage"
)

func TestABanEndsTokensAndLoginsUntilItIsOver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	if err := f.Users.Ban(t.Context(), 1, f.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "a token of a banned user", bearer, token.ErrRevoked)
	f.wantBanned(t, "alice")
	f.restart()
	f.wantVerdict(t, "after a restart", bearer, token.ErrRevoked)
	f.wantBanned(t, "alice")
	f.wantVerdict(t, "somebody else", f.loginAs(t, "bob").Token, nil)
	f.clock.move(time.Hour)
	f.wantVerdict(t, "when the ban is over", bearer, nil)
}

func TestALiftedBanStaysLiftedAfterARestart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	for _, until := range []time.Time{f.clock.Now().Add(1000 * time.Hour), {}} {
		if err := f.Users.Ban(t.Context(), 1, until); err != nil {
			t.Fatal(err)
		}
	}
	f.wantVerdict(t, "when the ban was lifted", bearer, nil)
	f.restart()
	f.wantVerdict(t, "and after a restart", bearer, nil)
	if err := f.Users.Ban(t.Context(), 99, f.clock.Now().Add(time.Hour)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("banning nobody: %v, want %v", err, storage.ErrNotFound)
	}
}

func TestTheEndOfABanDoesNotBringALongerOneBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	for _, d := range []time.Duration{8 * time.Hour, time.Hour} {
		if err := f.Users.Ban(t.Context(), 1, f.clock.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	f.clock.move(time.Hour)
	f.wantVerdict(t, "when the shorter ban is over", bearer, nil)
	f.restart()
	f.wantVerdict(t, "and after a restart", bearer, nil)
}

func (f *fixture) wantBanned(t *testing.T, person string) {
	t.Helper()
	if _, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode(person)}); !errors.Is(err, ErrUserBanned) {
		t.Errorf("login of %s: %v, want %v", person, err, ErrUserBanned)
	}
}

func TestTheOldestSessionEndsWhenOneTooManyBegins(t *testing.T) {
	t.Parallel()
	f := newFixtureWith(t, func(cfg *Config) { cfg.Sessions.MaxPerUser = 2 })
	var tokens []string
	for range 4 {
		tokens = append(tokens, f.loginAs(t, "alice").Token)
		f.clock.move(time.Second)
	}
	for i, want := range []error{token.ErrRevoked, token.ErrRevoked, nil, nil} {
		f.wantVerdict(t, fmt.Sprintf("session %d of 4", i+1), tokens[i], want)
	}
	f.restart()
	f.wantVerdict(t, "the oldest after a restart", tokens[0], token.ErrRevoked)
}

func TestUsersEndTheirOwnSessionsOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	phone, tablet, bob := f.loginAs(t, "alice").Token, f.loginAs(t, "alice").Token, f.loginAs(t, "bob").Token
	if err := f.Sessions.EndOf(t.Context(), 1, f.subjectOf(t, bob).SessionID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("ending somebody else's session: %v, want %v", err, storage.ErrNotFound)
	}
	f.wantVerdict(t, "somebody else's session", bob, nil)
	if err := f.Sessions.EndOf(t.Context(), 1, f.subjectOf(t, tablet).SessionID); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "the session that was ended", tablet, token.ErrRevoked)
	f.wantVerdict(t, "the session that ended it", phone, nil)
}

func TestAnErasedUserIsGoneAndComesBackAsSomebodyNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	if err := f.Users.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "a token of an erased user", bearer, token.ErrRevoked)
	if _, err := f.Users.ByID(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the profile: %v, want %v", err, storage.ErrNotFound)
	}
	if id := f.loginAs(t, "alice").User.ID; id != 2 {
		t.Errorf("alice comes back as %d, want 2", id)
	}
}

func TestCountersAddUpAndNeverGoBelowZero(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.loginAs(t, "alice")
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := f.Users.AddCounters(t.Context(), 1, Counters{Recipes: 3, Followers: -5}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	user, err := f.Users.AddCounters(t.Context(), 1, Counters{Favorites: 1 << 62})
	if err != nil || user.RecipeCount != 300 || user.FollowerCount != 0 || user.FavoriteCount != maxCounter {
		t.Errorf("got %+v, %v; want 300 recipes, 0 followers, the most favorites", user, err)
	}
}

// importUser imports one user.
func (f *fixture) importUser(t *testing.T, u storage.User) error {
	t.Helper()
	results, err := f.Users.Import(t.Context(), []storage.User{u})
	if err != nil {
		t.Fatal(err)
	}
	return results[0].Err
}

func TestAnImportedUserKeepsTheID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	openid := f.loginAs(t, "alice").User.OpenID
	for name, c := range map[string]struct {
		user storage.User
		want error
	}{
		"a new one":                  {storage.User{ID: 7, OpenID: "o7"}, nil},
		"the same again":             {storage.User{ID: 7, OpenID: "o7"}, nil},
		"an id that is taken":        {storage.User{ID: 1, OpenID: "o8"}, storage.ErrConflict},
		"an openid that is taken":    {storage.User{ID: 9, OpenID: openid}, storage.ErrConflict},
		"no id":                      {storage.User{OpenID: "o9"}, ErrInvalidRequest},
		"no openid":                  {storage.User{ID: 9}, ErrInvalidRequest},
		"an openid with a line feed": {storage.User{ID: 9, OpenID: "o\n9"}, ErrInvalidRequest},
	} {
		if err := f.importUser(t, c.user); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if id := f.loginAs(t, "bob").User.ID; id != 8 {
		t.Errorf("the next new user is %d, want 8", id)
	}
}

func TestAThousandParallelRefreshesGiveOneToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.loginAs(t, "alice").Token
	var mu sync.Mutex
	tokens := map[string]int{}
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			grant, err := f.Refresh(t.Context(), old)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			tokens[grant.Token]++
			mu.Unlock()
		})
	}
	all.Wait()
	if len(tokens) != 1 {
		t.Errorf("1,000 refreshes gave %d tokens, want 1", len(tokens))
	}
}

func TestARefreshStormLosesNoSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const sessions, callers = 200, 5
	old := make([]string, sessions)
	for i := range old {
		old[i] = f.loginAs(t, fmt.Sprintf("person%d", i%20)).Token
	}
	renewed := make([][callers]string, sessions)
	var all sync.WaitGroup
	for i := range sessions {
		for j := range callers {
			all.Go(func() {
				grant, err := f.Refresh(t.Context(), old[i])
				if err != nil {
					t.Errorf("session %d: %v", i, err)
				}
				renewed[i][j] = grant.Token
			})
		}
	}
	all.Wait()
	f.clock.move(f.cfg.Refresh.Grace)
	for i := range sessions {
		f.wantVerdict(t, fmt.Sprintf("session %d", i), renewed[i][0], nil)
		for j := range callers {
			if renewed[i][j] != renewed[i][0] {
				t.Errorf("session %d: caller %d got another token", i, j)
			}
		}
	}
}

func TestTheDefaultBoundOfSessionsEndsTheOldest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var tokens []string
	for range DefaultConfig().Sessions.MaxPerUser + 2 {
		tokens = append(tokens, f.loginAs(t, "alice").Token)
		f.clock.move(time.Second)
	}
	for i, bearer := range tokens {
		want := token.ErrRevoked
		if i >= 2 {
			want = nil
		}
		f.wantVerdict(t, fmt.Sprint("session ", i, " of 52"), bearer, want)
	}
	if living, err := f.Sessions.List(t.Context(), 1, storage.SessionCursor{}, 1000); len(living) != 50 || err != nil {
		t.Errorf("%d sessions are left, %v; want 50", len(living), err)
	}
}

func TestAUserIsFoundByOpenIDWhicheverAccountGaveIt(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	f.Web = newWeb(f.Authn, Deps{Webs: map[wechat.WebKind]WebApp{wechat.WebOfficialAccount: {"wxweb", new(webPeople)}}, Budget: patience, Now: f.clock.Now})
	f.Users.webs = f.Web
	alice, bob := f.mustThrough(t, testAppID, "alice").User, f.mustThrough(t, otherAppID, "bob").User
	code, err := f.Web.Return(t.Context(), "browser", f.Web.Begin("browser", wechat.WebOfficialAccount, webPage), "carol", false)
	if err != nil {
		t.Fatal(err)
	}
	carol, err := f.Web.Exchange(t.Context(), "browser", code, Login{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		appID, openID string
		want          []int64
	}{
		{"", "alice-" + testAppID, []int64{alice.ID}},
		{"", "bob-" + otherAppID, []int64{bob.ID}},
		{"", "ocarol", []int64{carol.User.ID}},
		{otherAppID, "bob-" + otherAppID, []int64{bob.ID}},
		{testAppID, "bob-" + otherAppID, nil},
		{"", "nobody", nil},
	} {
		found, err := f.Users.ByOpenID(t.Context(), c.appID, c.openID)
		var got []int64
		for _, user := range found {
			got = append(got, user.ID)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s of %q: got users %v, error %v, want %v", c.openID, c.appID, got, err, c.want)
		}
	}
	if _, err := f.Users.ByOpenID(t.Context(), "wxother", "alice-"+testAppID); !errors.Is(err, ErrInvalidRequest) || !strings.Contains(err.Error(), `"wxother"`) {
		t.Errorf("of an appid that is not configured: got %v, want one that names it", err)
	}
}
