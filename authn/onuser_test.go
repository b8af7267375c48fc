package authn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"wxgate/secret"
	"wxgate/storage"
)

// waiting is an Announcer whose service accepts nobody until it is told to.
type waiting struct {
	store   *storage.Store
	accepts bool
	asked   []int64
}

func (w *waiting) Waits() bool { return true }

func (w *waiting) Tell(ctx context.Context, userID int64) error {
	w.asked = append(w.asked, userID)
	if !w.accepts {
		return ErrUserService
	}
	next, err := w.store.NextEvent(ctx, userID)
	if err != nil {
		return err
	}
	return next.Told(ctx)
}

func (w *waiting) TellAgain(context.Context, int64, int) (ToldAgain, error) { return ToldAgain{}, nil }

func (w *waiting) Untold(context.Context, int64, time.Time) (UntoldPage, error) {
	return UntoldPage{}, nil
}

// TestNobodyActsForAUserOfWhomTheServiceDoesNotKnow goes through every way to an identity: a login with a code, a cloud login,
// a cloud identity without a token, and a pre-fetch.
func TestNobodyActsForAUserOfWhomTheServiceDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store.RecordEvents(true)
	service := &waiting{store: f.store.Store}
	f.Authn.announcer = service
	id := CloudIdentity{AppID: testAppID, OpenID: "oCloud"}
	ways := map[string]func() error{
		"login":       func() error { _, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode("alice")}); return err },
		"cloud login": func() error { _, err := f.CloudLogin(t.Context(), id, Login{}); return err },
		"prefetch": func() error {
			_, err := f.Prefetched(t.Context(), Prefetch{Code: f.weChat.IssueCode("bob")})
			return err
		},
	}
	for name, way := range ways {
		if err := way(); !errors.Is(err, ErrUserService) {
			t.Errorf("%s of a new user: %v, want ErrUserService", name, err)
		}
	}
	cloudSubject := func() error { _, err := f.CloudSubject(t.Context(), id); return err }
	if err := cloudSubject(); !errors.Is(err, ErrUserService) {
		t.Errorf("a cloud identity: %v, want ErrUserService", err)
	}
	users, err := f.store.Users(t.Context(), 0, 10)
	if err != nil || len(users) != len(ways) {
		t.Fatalf("%d users, %v; want %d who wait", len(users), err, len(ways))
	}
	for _, u := range users {
		if sessions, err := f.store.Sessions(t.Context(), u.ID, storage.SessionCursor{}, 10); len(sessions) > 0 || err != nil {
			t.Errorf("user %d has %d sessions, %v", u.ID, len(sessions), err)
		}
	}
	service.accepts = true
	for name, way := range ways {
		if err := way(); err != nil {
			t.Errorf("%s once the service answers: %v", name, err)
		}
	}
	asked := len(service.asked)
	if err := cloudSubject(); err != nil || len(service.asked) != asked {
		t.Errorf("a known cloud identity: %v, the service was asked %d times more", err, len(service.asked)-asked)
	}
	if again, err := f.store.Users(t.Context(), 0, 10); err != nil || len(again) != len(users) {
		t.Errorf("%d users, want %d", len(again), len(users))
	}
}

func TestOnUserSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, row := range []struct {
		cfg  OnUserConfig
		want string
	}{
		{OnUserConfig{}, ""},
		{OnUserConfig{Upstream: "a", Path: "/users?x=1", Secret: good}, ""},
		{OnUserConfig{Upstream: "a", Path: "/u", Secret: secret.Text(good[6:])}, ""},
		{OnUserConfig{Path: "/u", Secret: good}, "upstream"},
		{OnUserConfig{Wait: true}, "upstream"},
		{OnUserConfig{Upstream: "a", Secret: good}, "path"},
		{OnUserConfig{Upstream: "a", Path: "users", Secret: good}, "path"},
		{OnUserConfig{Upstream: "a", Path: "/用户", Secret: good}, "path"},
		{OnUserConfig{Upstream: "a", Path: "/a b", Secret: good}, "path"},
		{OnUserConfig{Upstream: "a", Path: "/a\r\nX: y", Secret: good}, "path"},
		{OnUserConfig{Upstream: "a", Path: "/u"}, "secret"},
		{OnUserConfig{Upstream: "a", Path: "/u", Secret: "whsec_c2hvcnQ="}, "secret"},
		{OnUserConfig{Upstream: "a", Path: "/u", Secret: "not base64 at all, is it?"}, "secret"},
		{OnUserConfig{Upstream: "a", Path: "/u", Secret: secret.Text("whsec_" + strings.Repeat("QUJD", 30))}, "secret"},
	} {
		faults := row.cfg.validate()
		if row.want == "" && len(faults) > 0 || row.want != "" && (len(faults) != 1 || faults[0].Path != row.want) {
			t.Errorf("%+v: %v, want a fault of %q", row.cfg, faults, row.want)
		}
		if err := faults.Err(); err != nil && row.cfg.Secret != "" && strings.Contains(err.Error(), row.cfg.Secret.Reveal()) {
			t.Errorf("the fault shows the secret: %v", faults)
		}
	}
}
