package authn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"wxgate/storage"
)

// withdrawal is what people want forgotten of them.
type withdrawal struct {
	nickname, avatar, phone bool
	everything              bool // which is an erasure
}

// parseWithdrawal reads RevokeInfo (page "授权用户资料变更"). What we do not keep is nothing here: places, files, invoices.
func parseWithdrawal(revokeInfo string) (w withdrawal) {
	for _, code := range strings.FieldsFunc(revokeInfo, func(r rune) bool { return r < '0' || r > '9' }) {
		switch code {
		case "6", "205":
			w.nickname, w.avatar = true, true
		case "8":
			w.phone = true
		case "19": // the one from the input
			w.nickname = true
		case "20": // the one from the button
			w.avatar = true
		case "301":
			w.everything = true
		}
	}
	return w
}

// What was deleted, as a label.
const (
	withdrewNickname = "nickname"
	withdrewAvatar   = "avatar"
	withdrewPhone    = "phone"
	withdrewUser     = "user"
)

// ConsentRevoked deletes what somebody does not want kept any more, as WeChat says it in RevokeInfo. Nobody by that openid is no
// error.
func (u *Users) ConsentRevoked(ctx context.Context, appID, openID, revokeInfo string) error {
	return u.withdraw(ctx, appID, openID, parseWithdrawal(revokeInfo))
}

// AccountCancelled erases somebody who has closed their account of WeChat.
func (u *Users) AccountCancelled(ctx context.Context, appID, openID string) error {
	return u.withdraw(ctx, appID, openID, withdrawal{everything: true})
}

// ProfileCleaned deletes nickname and avatar of somebody whose profile WeChat has cleaned of something risky.
func (u *Users) ProfileCleaned(ctx context.Context, appID, openID string) error {
	return u.withdraw(ctx, appID, openID, withdrawal{nickname: true, avatar: true})
}

func (u *Users) withdraw(ctx context.Context, appID, openID string, w withdrawal) error {
	if w == (withdrawal{}) || openID == "" {
		return nil
	}
	account, err := u.store.UserByOpenID(ctx, appID, openID)
	if err == nil && w.everything {
		err = u.Erase(ctx, account.Person())
	} else if err == nil {
		return u.forget(ctx, account.Person(), w)
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("erasing who withdrew: %w", err)
	}
	u.withdrew(ctx, account.Person(), withdrewUser)
	return nil
}

// forget deletes some of what is kept of a user, in all their accounts.
func (u *Users) forget(ctx context.Context, userID int64, w withdrawal) error {
	if w.nickname || w.avatar {
		if err := u.forgetProfile(ctx, userID, w); err != nil {
			return fmt.Errorf("deleting what a user withdrew: %w", err)
		}
	}
	if !w.phone {
		return nil
	}
	forgotten, err := u.store.ForgetPhone(ctx, userID)
	if err != nil {
		return fmt.Errorf("deleting what a user withdrew: %w", err)
	}
	if forgotten {
		u.withdrew(ctx, userID, withdrewPhone)
	}
	return nil
}

// forgetProfile deletes nickname, avatar or both. The sessions end with a nickname: their tokens carry it to the services. The
// mini-program logs in again by itself.
func (u *Users) forgetProfile(ctx context.Context, userID int64, w withdrawal) error {
	accounts, err := u.store.Accounts(ctx, userID)
	if err != nil {
		return err
	}
	var was storage.User
	clean := func(user *storage.User) error {
		was = *user
		if w.nickname {
			user.Nickname = ""
		}
		if w.avatar {
			user.Avatar = ""
		}
		return nil
	}
	for _, account := range accounts {
		if account.Link != storage.LinkComplete {
			continue
		}
		if _, err := u.store.UpdateUser(ctx, account.ID, clean); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	if _, err := u.store.UpdateUser(ctx, userID, clean); err != nil {
		return err
	}
	if w.avatar && was.Avatar != "" {
		u.withdrew(ctx, userID, withdrewAvatar)
	}
	if !w.nickname {
		return nil
	}
	if was.Nickname != "" {
		u.withdrew(ctx, userID, withdrewNickname)
	}
	_, err = u.sessions.EndAll(ctx, userID) // also when an earlier attempt came as far as the nickname
	return err
}

// withdrew counts and logs what was deleted.
func (u *Users) withdrew(ctx context.Context, userID int64, what string) {
	u.metrics.withdrawn.WithLabelValues(what).Inc()
	u.log.InfoContext(ctx, "deleted at WeChat's word, because the person withdrew it", "user", userID, "what", what)
}
