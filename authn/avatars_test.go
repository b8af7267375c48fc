package authn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/authn/wechat"
)

// gallery is a WeChat that is asked about pictures: their trace_ids are trace-1, trace-2, …
type gallery struct {
	WeChat

	asked  []string
	err    error
	before func(traceID string) // the answer comes; may be nil
	reads  func()               // while it reads texts; may be nil
}

func (g *gallery) CheckProfile(ctx context.Context, openID string, text wechat.ProfileText) (wechat.ContentCheck, error) {
	if g.reads != nil {
		g.reads()
	}
	return g.WeChat.CheckProfile(ctx, openID, text)
}

func (g *gallery) CheckImage(_ context.Context, _, address string) (string, error) {
	if g.err != nil {
		return "", g.err
	}
	g.asked = append(g.asked, address)
	trace := fmt.Sprintf("trace-%d", len(g.asked))
	if g.before != nil {
		g.before(trace)
	}
	return trace, nil
}

const (
	firstAvatar  = "https://example.com/one.png"
	secondAvatar = "https://example.com/two.png"
)

// shows is a fixture whose user 1 has a token, and WeChat's view of their pictures.
func shows(t *testing.T) (f *fixture, g *gallery, bearer string) {
	t.Helper()
	f = newFixture(t)
	bearer = f.loginAs(t, "alice").Token
	g = &gallery{WeChat: f.apps[testAppID].client}
	f.apps[testAppID].client = g
	return f, g, bearer
}

// put changes the avatar, and says what is stored then.
func (f *fixture) put(t *testing.T, bearer, avatar string, unchecked bool) (stored string, err error) {
	t.Helper()
	user, err := f.write(t, bearer, Profile{Avatar: &avatar}, ContentPolicy{Check: true, Unchecked: unchecked, Results: []string{testAppID}})
	return user.Avatar, err
}

func (f *fixture) judge(t *testing.T, appID, traceID string, result wechat.ContentCheck) (stored string) {
	t.Helper()
	if err := f.Users.AvatarJudged(t.Context(), appID, traceID, result); err != nil {
		t.Fatal(err)
	}
	user, err := f.store.User(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return user.Avatar
}

func TestARiskyAvatarIsCleared(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		result    wechat.ContentCheck
		unchecked bool
		stays     bool
	}{
		{wechat.ContentCheck{Result: wechat.ContentRisky, Label: 20002}, true, false},
		{wechat.ContentCheck{Result: wechat.ContentRisky}, false, false},
		{wechat.ContentCheck{Result: wechat.ContentPass}, false, true},
		{wechat.ContentCheck{Result: wechat.ContentReview}, true, true},
		{wechat.ContentCheck{Result: wechat.ContentReview}, false, false},
		{wechat.ContentCheck{}, true, true}, // it could not be downloaded
		{wechat.ContentCheck{}, false, false},
	} {
		f, _, bearer := shows(t)
		var log bytes.Buffer
		f.logsTo(&log)
		if stored, err := f.put(t, bearer, firstAvatar, row.unchecked); err != nil || stored != firstAvatar {
			t.Fatalf("stored %q, %v; want it until WeChat has looked", stored, err)
		}
		if got := f.judge(t, "wx0000000000000009", "trace-1", row.result) + f.judge(t, testAppID, "trace-2", row.result); got != firstAvatar+firstAvatar {
			t.Errorf("%+v: another's result leaves %q", row, got)
		}
		for range 2 {
			if got := f.judge(t, testAppID, "trace-1", row.result); (got == firstAvatar) != row.stays {
				t.Errorf("%+v leaves %q", row, got)
			}
		}
		if n := strings.Count(log.String(), "user=1"); (n == 1) == row.stays || strings.Contains(log.String(), firstAvatar) {
			t.Errorf("%+v: the log has\n%s", row, log.String())
		}
		if n := testutil.ToFloat64(f.metrics.content.WithLabelValues(kindAvatar, contentLabel(row.result.Result))); n < 1 {
			t.Errorf("%+v is counted %v times", row, n)
		}
	}
}

// TestAResultMayBeFirst: it comes before WeChat's answer to the question, or before that is stored.
func TestAResultMayBeFirst(t *testing.T) {
	t.Parallel()
	f, g, bearer := shows(t)
	g.before = func(trace string) {
		f.judge(t, testAppID, trace, wechat.ContentCheck{Result: wechat.ContentRisky})
	}
	stored, err := f.put(t, bearer, firstAvatar, true)
	if err != nil || stored != "" {
		t.Errorf("stored is %q, %v; want none", stored, err)
	}
}

// TestAnotherAvatarStays: the result is about the one from before.
func TestAnotherAvatarStays(t *testing.T) {
	t.Parallel()
	f, g, bearer := shows(t)
	for _, avatar := range []string{firstAvatar, secondAvatar, secondAvatar} {
		if _, err := f.put(t, bearer, avatar, true); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.asked) != 2 {
		t.Errorf("WeChat was asked about %q, want each once", g.asked)
	}
	if got := f.judge(t, testAppID, "trace-1", wechat.ContentCheck{Result: wechat.ContentRisky}); got != secondAvatar {
		t.Errorf("the first is risky: stored is %q", got)
	}
	if err := f.Users.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := f.Users.AvatarJudged(t.Context(), testAppID, "trace-2", wechat.ContentCheck{Result: wechat.ContentRisky}); err != nil {
		t.Errorf("the result about somebody who is gone: %v", err)
	}
}

// TestAnAvatarThatWasClearedIsNotStoredAgain by a profile that was saved as it was shown, when the result comes while WeChat reads
// the nickname.
func TestAnAvatarThatWasClearedIsNotStoredAgain(t *testing.T) {
	t.Parallel()
	policy := ContentPolicy{Check: true, Results: []string{testAppID}}
	avatar, name := firstAvatar, "小厨师"
	for what, save := range map[string]func(f *fixture, bearer string) error{
		"a profile": func(f *fixture, bearer string) error {
			_, err := f.write(t, bearer, Profile{Nickname: &name, Avatar: &avatar}, policy)
			return err
		},
		"a login": func(f *fixture, _ string) error {
			_, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode("alice"), Nickname: &name, Avatar: &avatar, Content: policy})
			return err
		},
	} {
		f, g, bearer := shows(t)
		if _, err := f.put(t, bearer, avatar, false); err != nil {
			t.Fatal(err)
		}
		g.reads = func() { f.judge(t, testAppID, "trace-1", wechat.ContentCheck{Result: wechat.ContentRisky}) }
		if err := save(f, bearer); err != nil {
			t.Fatal(err)
		}
		user, err := f.store.User(t.Context(), 1)
		if err != nil || user.Nickname != name || user.Avatar != "" || len(g.asked) != 1 {
			t.Errorf("%s leaves %q with %q, %v; want the nickname alone", what, user.Nickname, user.Avatar, err)
		}
	}
}

// TestTheResultOfAnAvatarFollowsItsAccount: whoever it was linked to has got the avatar.
func TestTheResultOfAnAvatarFollowsItsAccount(t *testing.T) {
	t.Parallel()
	f := newLinked(t, nil)
	f.Authn.cfg.Link = ""
	f.mustThrough(t, testAppID, "alice")
	second := f.mustThrough(t, otherAppID, "alice")
	f.apps[otherAppID].client = &gallery{WeChat: f.apps[otherAppID].client}
	avatar := firstAvatar
	if _, err := f.write(t, second.Token, Profile{Avatar: &avatar}, ContentPolicy{Check: true, Results: []string{otherAppID}}); err != nil {
		t.Fatal(err)
	}
	f.Authn.cfg.Link = LinkUnionID
	if linked := f.mustThrough(t, otherAppID, "alice"); linked.User.ID != 1 || linked.User.Avatar != firstAvatar {
		t.Fatalf("the linked user is %d with %q, want 1 with the avatar of the account", linked.User.ID, linked.User.Avatar)
	}
	if got := f.judge(t, otherAppID, "trace-1", wechat.ContentCheck{Result: wechat.ContentRisky}); got != "" {
		t.Errorf("the risky avatar stays: %q", got)
	}
}

func TestAnAvatarThatCannotBeAskedAboutIsAsConfigured(t *testing.T) {
	t.Parallel()
	f, g, bearer := shows(t)
	g.err = wechat.ErrTimeout
	if _, err := f.put(t, bearer, firstAvatar, false); !errors.Is(err, ErrContentUnchecked) {
		t.Errorf("refused: %v, want ErrContentUnchecked", err)
	}
	if stored, err := f.put(t, bearer, firstAvatar, true); err != nil || stored != firstAvatar {
		t.Errorf("allowed: %q, %v", stored, err)
	}
	avatar := secondAvatar
	grant, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode("alice"), Avatar: &avatar, Content: ContentPolicy{Check: true, Results: []string{testAppID}}})
	if err != nil || grant.User.Avatar != firstAvatar {
		t.Errorf("a login: %q, %v; want the one from before", grant.User.Avatar, err)
	}
	g.err = nil
	grant, err = f.Login(t.Context(), Login{Code: f.weChat.IssueCode("alice"), Avatar: &avatar, Content: ContentPolicy{Check: true, Results: []string{testAppID}}})
	if err != nil || grant.User.Avatar != secondAvatar || f.judge(t, testAppID, "trace-1", wechat.ContentCheck{Result: wechat.ContentRisky}) != "" {
		t.Errorf("a login with a risky one: %q, %v; want it cleared", grant.User.Avatar, err)
	}
	avatar = firstAvatar
	if _, err := f.write(t, bearer, Profile{Avatar: &avatar}, strict); err != nil || len(g.asked) != 1 {
		t.Errorf("where no results arrive: %v, asked %d times", err, len(g.asked))
	}
}
