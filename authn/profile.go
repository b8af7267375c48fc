package authn

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"wxgate/input"
	"wxgate/storage"
)

// The limits of a profile, in characters (Unicode code points).
const (
	maxNickname = 64
	maxAvatar   = 512
	maxBio      = 500
)

// anonymousNickname is what wx.getUserProfile has returned for everybody since 2022-11-08.
const anonymousNickname = "微信用户"

// anonymousAvatar is part of the URL of the grey picture that comes with it.
const anonymousAvatar = "POgEwh4mIHO4nibH0KlMECNjjGxQUq24ZEaGT4poC6icRiccVGKSyXwibcPq4BWmiaIGuG1icwxaQX6grC9VemZoJ8rg"

// Profile is what users say about themselves; a nil field changes nothing.
type Profile struct {
	Nickname *string `json:"nickname"`
	Avatar   *string `json:"avatar"`
	Bio      *string `json:"bio"`
}

// visible returns the profile without invisible characters. A text of nothing but those, or of blanks, changes nothing,
// unlike the empty text, which clears a field.
func (p Profile) visible() Profile {
	for _, field := range []**string{&p.Nickname, &p.Bio} {
		if *field == nil || **field == "" {
			continue
		}
		text := stripInvisible(**field)
		if *field = &text; strings.TrimSpace(text) == "" {
			*field = nil
		}
	}
	return p
}

// changing is the profile without what u has already. What is judged good because it is stored must not be stored again once it has
// been taken away.
func (p Profile) changing(u storage.User) Profile {
	for _, field := range []struct {
		wanted **string
		stored string
	}{{&p.Nickname, u.Nickname}, {&p.Avatar, u.Avatar}, {&p.Bio, u.Bio}} {
		if *field.wanted != nil && **field.wanted == field.stored {
			*field.wanted = nil
		}
	}
	return p
}

// apply sets nickname and avatar if the profile has real ones: a login must never overwrite what a user chose with
// WeChat's placeholder, an empty string or a path that exists on one phone only.
func (p Profile) apply(u *storage.User) {
	if p.Nickname != nil && strings.TrimSpace(*p.Nickname) != "" && *p.Nickname != anonymousNickname {
		u.Nickname = *p.Nickname
	}
	if p.Avatar != nil && *p.Avatar != "" && !temporary(*p.Avatar) {
		u.Avatar = *p.Avatar
	}
}

// replace is apply for users who change their profile: an empty text clears a field.
func (p Profile) replace(u *storage.User) {
	p.apply(u)
	clearWhereEmpty(&u.Nickname, p.Nickname)
	clearWhereEmpty(&u.Avatar, p.Avatar)
	if p.Bio != nil {
		u.Bio = *p.Bio
	}
}

func clearWhereEmpty(field, wanted *string) {
	if wanted != nil && *wanted == "" {
		*field = ""
	}
}

// usable returns the profile without invalid fields. It comes with a code, and a code works once, so a login is never
// refused because of a picture.
func (p Profile) usable() Profile {
	p = p.visible()
	if (Profile{Nickname: p.Nickname}).validate() != nil || p.Nickname != nil && strings.ContainsRune(*p.Nickname, utf8.RuneError) {
		p.Nickname = nil
	}
	if (Profile{Avatar: p.Avatar}).validate() != nil {
		p.Avatar = nil
	}
	return p
}

// temporary reports whether an avatar is WeChat's grey one or a file of one phone, as real phones (wxfile://,
// http://tmp/, http://usr/, http://store/) and DevTools (http://127.0.0.1:54321/__tmp__/) write its path.
func temporary(avatar string) bool {
	if strings.HasPrefix(avatar, "wxfile://") || strings.Contains(avatar, anonymousAvatar) {
		return true
	}
	u, err := url.Parse(avatar)
	if err != nil {
		return false
	}
	host := u.Hostname()
	single := host != "" && host != "localhost" && !strings.ContainsAny(host, ".:")
	return single || input.IsLoopback(host) && strings.HasPrefix(u.Path, "/__")
}

func (p Profile) validate() error {
	if err := validateText("nickname", p.Nickname, maxNickname, false); err != nil {
		return err
	}
	if err := validateText("bio", p.Bio, maxBio, true); err != nil {
		return err
	}
	if err := validateText("avatar", p.Avatar, maxAvatar, false); err != nil {
		return err
	}
	return p.validateAvatar()
}

func (p Profile) validateAvatar() error {
	if p.Avatar == nil || *p.Avatar == "" || temporary(*p.Avatar) {
		return nil
	}
	u, err := url.Parse(*p.Avatar)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return &FieldError{"avatar", "不是 http(s) 网址"}
	}
	return nil
}

func validateText(name string, value *string, most int, lines bool) error {
	if value == nil {
		return nil
	}
	if !utf8.ValidString(*value) || utf8.RuneCountInString(*value) > most {
		return &FieldError{name, fmt.Sprintf("超过 %d 个字符", most)}
	}
	for _, r := range *value {
		if unicode.IsControl(r) && (!lines || r != '\n') {
			return &FieldError{name, "含有控制字符"}
		}
	}
	return nil
}

// Presentable removes what no profile may contain from a user about to be imported, and returns what was removed and
// why. Refusing the user because of an avatar would bring them back as a new one.
func Presentable(u storage.User) (clean storage.User, dropped []string) {
	for _, field := range []struct {
		name string
		text *string
	}{{"nickname", &u.Nickname}, {"bio", &u.Bio}} {
		if visible := stripInvisible(*field.text); visible != *field.text {
			dropped, *field.text = append(dropped, field.name+": its invisible characters"), visible
		}
	}
	for _, field := range []struct {
		text    *string
		profile Profile
		why     string
	}{
		{&u.Nickname, Profile{Nickname: &u.Nickname}, fmt.Sprintf("nickname: longer than %d characters, or with control characters", maxNickname)},
		{&u.Avatar, Profile{Avatar: &u.Avatar}, fmt.Sprintf("avatar: no http(s) URL of at most %d characters", maxAvatar)},
		{&u.Bio, Profile{Bio: &u.Bio}, fmt.Sprintf("bio: longer than %d characters, or with control characters", maxBio)},
	} {
		if field.profile.validate() != nil {
			dropped, *field.text = append(dropped, field.why), ""
		}
	}
	if u.UnionID != "" && !validOpenID(u.UnionID) {
		dropped, u.UnionID = append(dropped, "unionid: not visible ASCII of at most 64 bytes"), ""
	}
	if temporary(u.Avatar) {
		dropped, u.Avatar = append(dropped, "avatar: a temporary path of one phone, or WeChat's placeholder"), ""
	}
	for _, counter := range []struct {
		name  string
		value *int64
	}{
		{"recipe_count", &u.RecipeCount},
		{"follower_count", &u.FollowerCount},
		{"following_count", &u.FollowingCount},
		{"favorite_count", &u.FavoriteCount},
	} {
		if *counter.value < 0 || *counter.value > maxCounter {
			dropped, *counter.value = append(dropped, counter.name+": not between 0 and 2^53-1"), 0
		}
	}
	return u, dropped
}
