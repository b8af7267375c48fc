package authn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"wxgate/authn/wechat"
	"wxgate/lograte"
	"wxgate/storage"
)

// avatarLife is for how long the result of an avatar is waited for; WeChat pushes it within half an hour.
const avatarLife = time.Hour

// avatarNote is what the store remembers of a check until it is over. Who asked and who brings the result meet in it: the first of
// them, in whatever order, leaves a half, and the other one takes it.
type avatarNote struct {
	User      int64                `json:"user,omitempty"`      // of those who asked; 0: of a result
	Avatar    string               `json:"avatar,omitempty"`    // its SHA-256
	Unchecked bool                 `json:"unchecked,omitempty"` // it stays without a result
	Result    *wechat.ContentCheck `json:"result,omitempty"`
}

// avatarCheck is an avatar that WeChat was asked about.
type avatarCheck struct {
	name string // of the note
	note avatarNote
}

// avatarNoteOf is the name of a note. Services ask about pictures too, so any trace_id may come.
func avatarNoteOf(appID, traceID string) string { return "avatar " + hashOf(appID+" "+traceID) }

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// checkAvatar asks about the avatar of a changed profile, if it was not stored before; nil: there is nothing to wait for. The error is
// ErrContentUnchecked, where that is refused.
func (m *moderator) checkAvatar(ctx context.Context, policy ContentPolicy, of author, changed storage.User) (*avatarCheck, error) {
	avatar := unlessSame(of.user.Avatar, changed.Avatar)
	if !policy.Check || avatar == "" || !slices.Contains(policy.Results, of.appID) {
		return nil, nil
	}
	var traceID string
	err := m.ask(ctx, of, func(ctx context.Context, client WeChat) (err error) {
		traceID, err = client.CheckImage(ctx, of.openID, avatar)
		return err
	})
	if err != nil {
		m.metrics.contentChecked(kindAvatar, "")
		return nil, m.unchecked(policy, err)
	}
	return &avatarCheck{avatarNoteOf(of.appID, traceID), avatarNote{Avatar: hashOf(avatar), Unchecked: policy.Unchecked}}, nil
}

// await lets the result of an avatar that a user has now find them.
func (m *moderator) await(ctx context.Context, c *avatarCheck, userID int64) {
	if c == nil {
		return
	}
	c.note.User = userID
	result, err := m.meet(ctx, c.name, c.note)
	if err == nil && result != nil {
		err = m.settle(ctx, c.note, *result.Result)
	}
	if err != nil {
		m.limited.Warn(lograte.Kind{Message: "an avatar stays unchecked: the store does not remember that WeChat was asked"}, "user", userID, "error", err)
	}
}

// meet leaves a note, or takes the other half if that is there.
func (m *moderator) meet(ctx context.Context, name string, ours avatarNote) (other *avatarNote, err error) {
	text, err := json.Marshal(ours)
	if err != nil {
		return nil, err
	}
	err = m.store.ChangeTemporary(context.WithoutCancel(ctx), name, func(value []byte) ([]byte, time.Duration, error) {
		other = nil
		var known avatarNote
		if value != nil && json.Unmarshal(value, &known) == nil && (known.Result == nil) != (ours.Result == nil) {
			other = &known
			return nil, 0, nil
		}
		return text, avatarLife, nil
	})
	return other, err
}

// AvatarJudged takes what WeChat says of a picture: a risky avatar is cleared, and one that was not judged, where such are refused. A
// picture that is no avatar changes nothing.
func (u *Users) AvatarJudged(ctx context.Context, appID, traceID string, result wechat.ContentCheck) error {
	name := avatarNoteOf(appID, traceID)
	if result.Result == wechat.ContentPass { // nobody else needs to know
		if _, err := u.store.Temporary(ctx, name); err == nil {
			u.metrics.contentChecked(kindAvatar, result.Result)
		}
		return nil
	}
	asked, err := u.content.meet(ctx, name, avatarNote{Result: &result})
	if err != nil {
		return fmt.Errorf("looking for who asked about a picture: %w", err)
	}
	if asked == nil {
		return nil
	}
	return u.content.settle(ctx, *asked, result)
}

// settle clears an avatar that must not stay, unless the user has another one by now.
func (m *moderator) settle(ctx context.Context, asked avatarNote, result wechat.ContentCheck) error {
	m.metrics.contentChecked(kindAvatar, result.Result)
	if result.Result != wechat.ContentRisky && asked.Unchecked {
		return nil
	}
	for id := asked.User; ; {
		cleared := false
		user, err := m.store.UpdateUser(context.WithoutCancel(ctx), id, func(user *storage.User) error {
			if cleared = hashOf(user.Avatar) == asked.Avatar; cleared {
				user.Avatar = ""
			}
			return nil
		})
		if errors.Is(err, storage.ErrNotFound) {
			return nil // erased
		}
		if err != nil {
			return fmt.Errorf("clearing an avatar: %w", err)
		}
		if cleared {
			m.log.InfoContext(ctx, "an avatar was cleared: WeChat does not find it good", "user", id, "result", result.Result, "label", result.Label)
		}
		if user.Person() == id {
			return nil
		}
		id = user.Person() // whose account it has become since: they may have got its avatar
	}
}
