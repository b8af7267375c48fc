package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"wxgate/authn/wechat"
	"wxgate/lograte"
	"wxgate/storage"
)

var (
	// ErrContentRisky refuses a text that WeChat finds risky.
	ErrContentRisky = errors.New("WeChat finds the text risky")
	// ErrContentUnchecked refuses a text or a picture that WeChat has not judged, where such are refused.
	ErrContentUnchecked = errors.New("WeChat has not judged what the user wrote")
)

// ContentPolicy is what becomes of what users write of themselves; the zero value stores it as it is.
type ContentPolicy struct {
	Check     bool     // WeChat is asked
	Unchecked bool     // what WeChat has not judged is stored all the same
	Results   []string // the appids where it pushes what it thinks of avatars; those of others are not checked
}

// contentBudget is the time for one question: about the texts of a profile, or about its picture.
const contentBudget = 2 * time.Second

// What is checked, as a label.
const (
	kindText   = "text"
	kindAvatar = "avatar"
)

// moderator asks WeChat about profiles.
type moderator struct {
	apps    apps
	store   Store
	metrics *metrics
	log     *slog.Logger
	limited *lograte.Log
}

// author is whose profile it is.
type author struct {
	appID, openID string
	user          storage.User // as stored; zero: a new one
}

// errNoMiniProgram is a user of whom no mini-program of ours can ask.
var errNoMiniProgram = errors.New("the user came through no mini-program of ours")

// changed is the author's profile as change makes it.
func (a author) changed(change func(*storage.User)) storage.User {
	change(&a.user)
	return a.user
}

// admit is the profile of a login without what must not be stored, or is: its code is used, so a login never fails because of it.
func (m *moderator) admit(ctx context.Context, policy ContentPolicy, of author, p Profile) (Profile, *avatarCheck) {
	p = p.changing(of.user)
	if m.checkText(ctx, policy, of, of.changed(p.apply)) != nil {
		p.Nickname = nil
	}
	avatar, err := m.checkAvatar(ctx, policy, of, of.changed(p.apply))
	if err != nil {
		p.Avatar = nil
	}
	return p, avatar
}

// checkText asks about the texts of a changed profile that were not stored before. The error is ErrContentRisky, or
// ErrContentUnchecked where that is refused.
func (m *moderator) checkText(ctx context.Context, policy ContentPolicy, of author, changed storage.User) error {
	text := wechat.ProfileText{Nickname: unlessSame(of.user.Nickname, changed.Nickname), Bio: unlessSame(of.user.Bio, changed.Bio)}
	if !policy.Check || text == (wechat.ProfileText{}) {
		return nil
	}
	var found wechat.ContentCheck
	err := m.ask(ctx, of, func(ctx context.Context, client WeChat) (err error) {
		found, err = client.CheckProfile(ctx, of.openID, text)
		return err
	})
	m.metrics.contentChecked(kindText, found.Result)
	switch found.Result {
	case wechat.ContentPass:
		return nil
	case wechat.ContentRisky:
		m.log.InfoContext(ctx, "a text is refused: WeChat finds it risky", "user", of.user.ID, "label", found.Label)
		return ErrContentRisky
	}
	return m.unchecked(policy, err)
}

// unlessSame is a text that was not stored before; "" for the same one.
func unlessSame(old, changed string) string {
	if old == changed {
		return ""
	}
	return changed
}

// unchecked is what becomes of something that WeChat did not judge, or, without a cause, wants a person to look at.
func (m *moderator) unchecked(policy ContentPolicy, cause error) error {
	if cause == nil {
		cause = errors.New("WeChat wants a person to look at it")
	}
	if !policy.Unchecked {
		return fmt.Errorf("%w: %w", ErrContentUnchecked, cause)
	}
	m.limited.Warn(lograte.Kind{Message: "what a user wrote or shows is stored although WeChat has not judged it"}, "error", cause)
	return nil
}

// ask calls WeChat about an author, within the bounds of their mini-program.
func (m *moderator) ask(ctx context.Context, of author, call func(context.Context, WeChat) error) error {
	p := m.apps[of.appID]
	if p == nil || of.openID == "" {
		return errNoMiniProgram
	}
	return p.check(ctx, call)
}
