package authn

import (
	"fmt"

	"wxgate/storage"
)

// Presentable takes out of a user who is to be imported what no profile may have, and says what and why: somebody who was
// refused for an avatar would come back as somebody new.
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
		{&u.Nickname, Profile{Nickname: &u.Nickname}, fmt.Sprintf("nickname: longer than %d characters, or with control characters", MaxNickname)},
		{&u.Avatar, Profile{Avatar: &u.Avatar}, fmt.Sprintf("avatar: no http(s) URL of at most %d characters", MaxAvatar)},
		{&u.Bio, Profile{Bio: &u.Bio}, fmt.Sprintf("bio: longer than %d characters, or with control characters", MaxBio)},
	} {
		if field.profile.validate() != nil {
			dropped, *field.text = append(dropped, field.why), ""
		}
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
