package authn

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/authn/token"
	"wxgate/storage"
)

func TestARevocationDeletesWhatItNames(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]string{
		"8": "name avatar -", "19": "- avatar phone", "20": "name - phone", "6": "- - phone", "205": "- - phone", "19,8": "- avatar -",
		"[6] 8": "- - -", "": "name avatar phone", "1": "name avatar phone", "88": "name avatar phone", "-8x": "name avatar -", "13;16": "name avatar phone",
	} {
		f := newFixture(t)
		f.store.RecordEvents(true)
		var log bytes.Buffer
		f.Users.log = slog.New(slog.NewTextHandler(&log, nil))
		grant := f.loginAs(t, "alice")
		other := f.loginAs(t, "bob")
		for _, id := range []int64{1, 2} {
			f.fill(t, id)
		}
		if err := f.Users.ConsentRevoked(t.Context(), testAppID, grant.User.OpenID, info); err != nil {
			t.Fatalf("%q: %v", info, err)
		}
		if got := f.kept(t, 1); got != want {
			t.Errorf("%q leaves %q of the user, want %q", info, got, want)
		}
		if got := f.kept(t, 2); got != "name avatar phone" {
			t.Errorf("%q leaves %q of another user", info, got)
		}
		ended := token.ErrRevoked // the token has the nickname
		if strings.HasPrefix(want, "name") {
			ended = nil
		}
		f.wantVerdict(t, info+": the token", grant.Token, ended)
		f.wantVerdict(t, info+": the token of another", other.Token, nil)
		if deleted := strings.Count(want, "-"); strings.Count(log.String(), "user=1") != deleted || strings.Contains(log.String(), grant.User.OpenID) {
			t.Errorf("%q: the log has\n%s\nwant %d lines without an openid", info, log.String(), deleted)
		}
		waiting, err := f.store.WaitingEvents(t.Context(), 0, 10)
		if err != nil || len(waiting) != 2 {
			t.Errorf("%q: %d users to tell about, %v", info, len(waiting), err)
		}
	}
}

// fill gives a user all that can be withdrawn.
func (f *fixture) fill(t *testing.T, id int64) {
	t.Helper()
	_, err := f.store.UpdateUser(t.Context(), id, func(u *storage.User) error {
		u.Nickname, u.Avatar = "name", "https://example.com/avatar"
		return nil
	})
	if err = errors.Join(err, f.store.SetPhone(t.Context(), id, storage.Phone{PureNumber: "13800000000"})); err != nil {
		t.Fatal(err)
	}
}

// kept says what is left of that.
func (f *fixture) kept(t *testing.T, id int64) string {
	t.Helper()
	user, err := f.store.User(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	left := []string{"-", "-", "-"}
	if user.Nickname != "" {
		left[0] = "name"
	}
	if user.Avatar != "" {
		left[1] = "avatar"
	}
	if _, err := f.store.Phone(t.Context(), id); err == nil {
		left[2] = "phone"
	} else if !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	return strings.Join(left, " ")
}

func TestWhoLeavesWeChatIsErased(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	openID := f.loginAs(t, "alice").User.OpenID
	bearer := f.loginAs(t, "alice").Token
	for range 2 { // the second time there is nobody
		if err := f.Users.AccountCancelled(t.Context(), testAppID, openID); err != nil {
			t.Fatal(err)
		}
	}
	f.wantVerdict(t, "the token", bearer, token.ErrRevoked)
	if _, err := f.store.User(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the user: %v, want ErrNotFound", err)
	}
	second := f.loginAs(t, "alice").User
	if err := f.Users.ConsentRevoked(t.Context(), testAppID, openID, "301"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.User(t.Context(), second.ID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("who withdrew everything: %v, want ErrNotFound", err)
	}
	if n := testutil.ToFloat64(f.metrics.withdrawn.WithLabelValues(withdrewUser)); n != 2 {
		t.Errorf("%v are counted, want 2", n)
	}
}

func TestNobodyWithdrawsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.loginAs(t, "alice")
	f.fill(t, 1)
	ctx := t.Context()
	for _, openID := range []string{"", "oNobody", "oNobody' OR 1=1", strings.Repeat("o", 1000)} {
		err := errors.Join(f.Users.ConsentRevoked(ctx, testAppID, openID, "6,8,301"), f.Users.AccountCancelled(ctx, testAppID, openID), f.Users.ProfileCleaned(ctx, testAppID, openID))
		if err != nil {
			t.Errorf("%.20q: %v", openID, err)
		}
	}
	if got := f.kept(t, 1); got != "name avatar phone" {
		t.Errorf("left of a user is %q", got)
	}
}

// TestAWithdrawalIsOfThePerson, through whichever mini-program it came.
func TestAWithdrawalIsOfThePerson(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	f.Authn.cfg.Link = ""
	f.mustThrough(t, testAppID, "alice")
	f.mustThrough(t, otherAppID, "alice")
	f.fill(t, 1)
	f.fill(t, 2)
	f.Authn.cfg.Link = LinkUnionID
	second := f.mustThrough(t, otherAppID, "alice")
	f.wantSubject(t, "the token", second.Token, 1, otherAppID, "alice")
	if err := f.Users.ProfileCleaned(t.Context(), otherAppID, "alice-"+otherAppID); err != nil {
		t.Fatal(err)
	}
	if err := f.Users.ConsentRevoked(t.Context(), otherAppID, "alice-"+otherAppID, "8"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, 2} {
		if got := f.kept(t, id); got != "- - -" {
			t.Errorf("left of account %d is %q", id, got)
		}
	}
	f.wantVerdict(t, "the token with the nickname", second.Token, token.ErrRevoked)
	if err := f.Users.AccountCancelled(t.Context(), otherAppID, "alice-"+otherAppID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, 2} {
		if _, err := f.store.User(t.Context(), id); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("account %d: %v, want ErrNotFound", id, err)
		}
	}
}
