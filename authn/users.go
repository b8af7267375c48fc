package authn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"wxgate/authn/revocation"
	"wxgate/input"
	"wxgate/storage"
)

// userStore stores users.
type userStore interface {
	userList
	User(ctx context.Context, id int64) (storage.User, error)
	UserByOpenID(ctx context.Context, appID, openID string) (storage.User, error)
	UpdateUser(ctx context.Context, id int64, change func(*storage.User) error) (storage.User, error)
	EraseUser(ctx context.Context, id int64, from, until time.Time) ([]storage.Revocation, error)
	accountStore
}

// userList lists users.
type userList interface {
	Users(ctx context.Context, after int64, limit int) ([]storage.User, error)
	CountUsers(ctx context.Context) (int64, error)
	UsersByNickname(ctx context.Context, text string, after int64, limit int) (found []storage.User, next int64, err error)
}

// accountStore stores whose the accounts of people are, which of them are to be erased, and what people gave of themselves.
type accountStore interface {
	deletionStore
	ForgetPhone(ctx context.Context, userID int64) (bool, error)
	Person(ctx context.Context, account storage.User) (storage.User, error)
	Account(ctx context.Context, userID int64, appID string) (storage.User, error)
	Accounts(ctx context.Context, userID int64) ([]storage.User, error)
	Unlink(ctx context.Context, id int64) ([]storage.Revocation, error)
}

// migrationStore takes users and ids over from an existing backend.
type migrationStore interface {
	ImportUsers(ctx context.Context, users []storage.User) ([]storage.Imported, error)
	CheckImport(ctx context.Context, users []storage.User) ([]storage.Imported, error)
	ReserveUserIDs(ctx context.Context, next int64) (int64, error)
}

// Users finds, changes, bans and erases users.
type Users struct {
	cfg       Config
	store     Store
	announcer Announcer // may be nil
	apps      apps
	content   *moderator
	sessions  *Sessions
	metrics   *metrics
	log       *slog.Logger
	webs      *Web
	revoked   *revocation.Set
	now       func() time.Time
}

// List returns up to limit users with ids above after, ordered by id.
func (u *Users) List(ctx context.Context, after int64, limit int) ([]storage.User, error) {
	return u.store.Users(ctx, after, limit)
}

// Count returns how many users there are.
func (u *Users) Count(ctx context.Context) (int64, error) { return u.store.CountUsers(ctx) }

// ByNickname returns up to limit users with ids above after whose nickname holds a text, in letters of either case. There may be
// fewer, or none, and more behind next all the same; 0 is the end.
func (u *Users) ByNickname(ctx context.Context, text string, after int64, limit int) (found []storage.User, next int64, err error) {
	return u.store.UsersByNickname(ctx, text, after, limit)
}

// ByOpenID returns the users with an openid: that of an account that people log in by or, with an empty appID, those of all such
// accounts, each of which has openids of its own.
func (u *Users) ByOpenID(ctx context.Context, appID, openID string) (found []storage.User, err error) {
	if !validOpenID(openID) {
		return nil, fmt.Errorf("%w: %q is not an openid", ErrInvalidRequest, openID)
	}
	accounts := u.accounts()
	if appID != "" {
		if !slices.Contains(accounts, appID) {
			return nil, fmt.Errorf("%w: the appid %s is not in gateway.yaml", ErrInvalidRequest, input.Quote(appID))
		}
		accounts = []string{appID}
	}
	for _, id := range accounts {
		user, err := u.store.UserByOpenID(ctx, id, openID)
		switch {
		case err == nil:
			found = append(found, user)
		case !errors.Is(err, storage.ErrNotFound):
			return nil, err
		}
	}
	return found, nil
}

// accounts are the appids that people log in by: of mini-programs and of web pages.
func (u *Users) accounts() []string {
	ids := slices.Collect(maps.Keys(u.apps))
	for _, web := range u.webs.accounts {
		ids = append(ids, web.id)
	}
	slices.Sort(ids)
	return ids
}

// account is the appid of an account that people log in by: that of a mini-program, the only one if appID is empty, or of web pages.
func (u *Users) account(appID string) (string, error) {
	if u.webs.has(appID) {
		return appID, nil
	}
	of, err := u.apps.find(appID)
	if err != nil {
		return "", err
	}
	return of.id, nil
}

// Counters are increments of the counters in a user's profile; they may be negative.
type Counters struct {
	Recipes   int64 `json:"recipe_count"`
	Followers int64 `json:"follower_count"`
	Following int64 `json:"following_count"`
	Favorites int64 `json:"favorite_count"`
}

// maxCounter keeps counters exact in a JavaScript number.
const maxCounter = 1<<53 - 1

// AddCounters adds to a user's counters atomically. A counter never falls below zero. The error is storage.ErrLinked for an
// account of another user, whose counters nobody would see.
func (u *Users) AddCounters(ctx context.Context, userID int64, add Counters) (storage.User, error) {
	return u.store.UpdateUser(ctx, userID, func(user *storage.User) error {
		if user.Person() != userID {
			return linkedError(*user)
		}
		user.RecipeCount = counted(user.RecipeCount, add.Recipes)
		user.FollowerCount = counted(user.FollowerCount, add.Followers)
		user.FollowingCount = counted(user.FollowingCount, add.Following)
		user.FavoriteCount = counted(user.FavoriteCount, add.Favorites)
		return nil
	})
}

func counted(now, add int64) int64 {
	return max(0, min(now+max(-maxCounter, min(add, maxCounter)), maxCounter))
}

func (u *Users) refuseBanned(userID int64) error {
	if _, banned := u.Banned(userID); banned {
		return ErrUserBanned
	}
	return nil
}

// Ban refuses the user's tokens and logins from now until the given time. A time in the past lifts the ban. An account that
// is linked to another user has no tokens of its own: storage.ErrLinked.
func (u *Users) Ban(ctx context.Context, userID int64, until time.Time) error {
	now := u.now()
	_, err := u.Unlinked(ctx, userID)
	if errors.Is(err, storage.ErrLinked) && !until.After(now) {
		err = nil
	}
	if err != nil {
		return err
	}
	id := strconv.FormatInt(userID, 10)
	// An empty span that outlives every ban: otherwise an older, longer ban would apply again after this one.
	lift := storage.Revocation{Scope: storage.ScopeUser, ID: id, From: lifted(now), Until: lifted(now)}
	revocations := []storage.Revocation{lift}
	if until.After(now) {
		revocations = append(revocations, storage.Revocation{Scope: storage.ScopeUser, ID: id, From: now, Until: until})
	}
	revoked, err := u.store.Revoke(context.WithoutCancel(ctx), revocations...)
	if err != nil {
		return fmt.Errorf("banning a user: %w", err)
	}
	u.revoked.Add(revoked...)
	return nil
}

// Banned reports whether the user is banned now, and until when.
func (u *Users) Banned(userID int64) (until time.Time, banned bool) {
	return u.revoked.Banned(userID, u.now())
}

// maxBan is the longest possible ban.
const maxBan = 100 * 365 * 24 * time.Hour

// lifted is a moment after every ban: an empty span there means that there is none.
func lifted(now time.Time) time.Time { return now.Add(maxBan) }

// Erase removes a user's personal data, sessions and session_keys; the id is never reused. The same person may come
// back as a new user.
func (u *Users) Erase(ctx context.Context, userID int64) error {
	return u.eraseBy(ctx, userID, u.store.EraseUser)
}

// eraseBy lets the store erase a user, and refuses their tokens for as long as any could be used.
func (u *Users) eraseBy(ctx context.Context, userID int64, erase func(ctx context.Context, id int64, from, until time.Time) ([]storage.Revocation, error)) error {
	now := u.now()
	life := u.cfg.sessionLife()
	if u.cfg.AcceptForeign {
		life = max(life, importedLife) // a backend's token may sit in the cache for as long as it lives
	}
	ended, err := erase(context.WithoutCancel(ctx), userID, now, now.Add(life))
	u.revoked.Add(ended...) // also those that ended before an error
	if errors.Is(err, storage.ErrLinked) {
		if user, unread := u.store.User(ctx, userID); unread == nil {
			err = linkedError(user)
		}
	}
	if err != nil {
		return fmt.Errorf("erasing a user: %w", err)
	}
	return nil
}

// linkedError says what to do instead.
func linkedError(user storage.User) error {
	return fmt.Errorf("%w, %d: do it with that one, or unlink user %d first", storage.ErrLinked, user.LinkedTo, user.ID)
}

// Linked notes that the service has accepted that an account is another user's: it is linked, and its sessions end.
func (u *Users) Linked(ctx context.Context, d *storage.Delivery) error {
	ended, err := d.Linked(ctx, storage.Linking{Foreign: u.cfg.AcceptForeign})
	u.revoked.Add(ended...) // also those that ended before an error
	return err
}

// Unlink makes a user of its own again of an account that is linked to another one, or about to be, and ends the sessions
// that began through it. It is not linked again by itself. The error is storage.ErrNotLinked if it is not linked.
func (u *Users) Unlink(ctx context.Context, userID int64) error {
	ended, err := u.store.Unlink(context.WithoutCancel(ctx), userID)
	u.revoked.Add(ended...) // also those that ended before an error
	return err
}

// Accounts returns the accounts that are linked to a user or about to be, by id.
func (u *Users) Accounts(ctx context.Context, userID int64) ([]storage.User, error) {
	return u.store.Accounts(ctx, userID)
}

// maxImportedID leaves as many ids above it for new users as there are below it.
const maxImportedID = 1 << 52

// ReserveIDs gives new users ids from next on, and returns the id that the next one gets, which is never lower than
// before. So another system can go on giving ids below it. An id outside 1 to 2^52 is ErrInvalidRequest.
func (u *Users) ReserveIDs(ctx context.Context, next int64) (int64, error) {
	if next < 1 || next > maxImportedID {
		return 0, fmt.Errorf("%w: the next id is from 1 to 2^52", ErrInvalidRequest)
	}
	at, err := u.store.ReserveUserIDs(ctx, next)
	if err != nil {
		return 0, fmt.Errorf("reserving ids: %w", err)
	}
	return max(at, u.cfg.FirstUserID), nil
}

// Import adds users of an existing backend under the ids they have there, in one transaction. The error of one is
// ErrInvalidRequest, or storage.ErrConflict if the id or openid belongs to somebody else.
func (u *Users) Import(ctx context.Context, users []storage.User) ([]storage.Imported, error) {
	results, err := u.importBy(ctx, users, u.store.ImportUsers)
	if err != nil {
		err = fmt.Errorf("importing users: %w", err)
	}
	return results, err
}

// CheckImport returns what Import would, and changes nothing.
func (u *Users) CheckImport(ctx context.Context, users []storage.User) ([]storage.Imported, error) {
	results, err := u.importBy(ctx, users, u.store.CheckImport)
	if err != nil {
		err = fmt.Errorf("checking an import: %w", err)
	}
	return results, err
}

// importBy passes on users who can be imported.
func (u *Users) importBy(ctx context.Context, users []storage.User, store func(context.Context, []storage.User) ([]storage.Imported, error)) ([]storage.Imported, error) {
	results := make([]storage.Imported, len(users))
	valid, places := make([]storage.User, 0, len(users)), make([]int, 0, len(users))
	for n, user := range users {
		user, err := u.importable(user)
		if err != nil {
			results[n].Err = err
			continue
		}
		valid, places = append(valid, user), append(places, n)
	}
	stored, err := store(ctx, valid)
	if err != nil {
		return nil, err
	}
	for n, result := range stored {
		results[places[n]] = result
	}
	return results, nil
}

// importable returns the user as Import stores it.
func (u *Users) importable(user storage.User) (storage.User, error) {
	switch {
	case user.ID < 1 || user.ID > maxImportedID:
		return user, fmt.Errorf("%w: the id %d is not from 1 to 2^52", ErrInvalidRequest, user.ID)
	case user.OpenID == "":
		return user, fmt.Errorf("%w: there is no openid", ErrInvalidRequest)
	case !validOpenID(user.OpenID):
		return user, fmt.Errorf("%w: the openid is not visible ASCII of at most 64 bytes", ErrInvalidRequest)
	}
	user.Nickname, user.Bio = stripInvisible(user.Nickname), stripInvisible(user.Bio)
	profile := Profile{Nickname: &user.Nickname, Avatar: &user.Avatar, Bio: &user.Bio}
	if err := profile.validate(); err != nil {
		return user, err
	}
	appID, err := u.account(user.AppID)
	switch {
	case err != nil && user.AppID == "":
		return user, fmt.Errorf("%w: there is no appid, and more than one mini-program", ErrInvalidRequest)
	case err != nil:
		return user, fmt.Errorf("%w: the appid %s is not that of a mini-program in gateway.yaml", ErrInvalidRequest, input.Quote(user.AppID))
	}
	user.AppID = appID
	return user, nil
}

// validOpenID reports whether an openid is one that WeChat could have given: visible ASCII, at most 64 bytes.
func validOpenID(openid string) bool {
	for i := range len(openid) {
		if openid[i] <= 0x20 || openid[i] >= 0x7f {
			return false
		}
	}
	return openid != "" && len(openid) <= 64
}

// ByID returns a user, or storage.ErrNotFound.
func (u *Users) ByID(ctx context.Context, userID int64) (storage.User, error) {
	return u.store.User(ctx, userID)
}

// Unlinked returns a user who is nobody's account: storage.ErrLinked says whose it is.
func (u *Users) Unlinked(ctx context.Context, userID int64) (storage.User, error) {
	user, err := u.store.User(ctx, userID)
	if err == nil && user.Person() != userID {
		err = linkedError(user)
	}
	return user, err
}

// Of returns the user of a subject, as the account shows them through which the subject came; or storage.ErrNotFound.
func (u *Users) Of(ctx context.Context, s Subject) (storage.User, error) {
	account, err := u.store.Account(ctx, s.UserID, s.AppID)
	if err != nil {
		return storage.User{}, err
	}
	return u.store.Person(ctx, account)
}

// UpdateProfile changes nickname, avatar and bio of a subject's user, and returns it as Of does; an empty text clears the
// field. Placeholders of WeChat and temporary paths are ignored, and invisible characters are removed. With a policy, new
// texts are shown to WeChat first, and nothing is changed if the error is ErrContentRisky or ErrContentUnchecked.
func (u *Users) UpdateProfile(ctx context.Context, s Subject, p Profile, policy ContentPolicy) (storage.User, error) {
	p = p.visible()
	if err := p.validate(); err != nil {
		return storage.User{}, err
	}
	p, avatar, err := u.checkContent(ctx, s, p, policy)
	if err != nil {
		return storage.User{}, err
	}
	_, err = u.store.UpdateUser(ctx, s.UserID, func(user *storage.User) error {
		p.replace(user)
		return nil
	})
	if err != nil {
		return storage.User{}, err
	}
	u.content.await(ctx, avatar, s.UserID)
	return u.Of(ctx, s)
}

// checkContent asks WeChat about what a profile changes, and returns what does.
func (u *Users) checkContent(ctx context.Context, s Subject, p Profile, policy ContentPolicy) (Profile, *avatarCheck, error) {
	if !policy.Check {
		return p, nil, nil
	}
	user, err := u.store.User(ctx, s.UserID)
	if err != nil {
		return p, nil, err
	}
	p = p.changing(user)
	of := author{cmp.Or(s.AppID, user.AppID), cmp.Or(s.OpenID, user.OpenID), user} // a token of an existing backend names neither
	changed := of.changed(p.replace)
	if err := u.content.checkText(ctx, policy, of, changed); err != nil {
		return p, nil, err
	}
	avatar, err := u.content.checkAvatar(ctx, policy, of, changed)
	return p, avatar, err
}
