package authn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/storage"
)

func TestATokenNamesTheUnionIDOnlyWhenAskedTo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	login := func(openID, unionID string) string {
		grant, err := f.CloudLogin(t.Context(), CloudIdentity{AppID: testAppID, OpenID: openID, UnionID: unionID}, Login{})
		if err != nil {
			t.Fatal(err)
		}
		return grant.Token
	}
	before := login("oA", "oUnionA")
	if got := f.subjectOf(t, before); got.UnionID != "" || got.OpenID != "oA" {
		t.Errorf("unasked, the token speaks for %+v", got)
	}
	f.clock.move(24 * time.Hour)
	f.Tokens.NameUnionIDs(true)
	for what, row := range map[string][2]string{
		"a login":               {login("oA", "oUnionA"), "oUnionA"},
		"a login without":       {login("oA", ""), "oUnionA"}, // it is known from before
		"a refresh":             {f.mustRefresh(t, before), "oUnionA"},
		"nobody knows one":      {login("oB", ""), ""},
		"one that is too long":  {login("oC", strings.Repeat("u", 2000)), ""},
		"one that is no header": {login("oD", "o\r\nX-User-Id: 1"), ""},
	} {
		if got := f.subjectOf(t, row[0]); got.UnionID != row[1] {
			t.Errorf("%s: got %q, want %q", what, got.UnionID, row[1])
		}
	}
	subject, err := f.CloudSubject(t.Context(), CloudIdentity{AppID: testAppID, OpenID: "oA", UnionID: "oForged"})
	if err != nil || subject.UnionID != "oUnionA" {
		t.Errorf("a request without a token: got %+v, %v", subject, err)
	}
	f.Tokens.NameUnionIDs(false)
	if got := f.subjectOf(t, login("oA", "oUnionA")); got.UnionID != "" {
		t.Errorf("asked no more, the token speaks for %+v", got)
	}
}

func TestTheUnionIDOfAnImportedTokenIsThatOfItsUser(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	if err := f.importUser(t, storage.User{ID: 43, OpenID: "oOld43", UnionID: "oUnion43"}); err != nil {
		t.Fatal(err)
	}
	exp := f.clock.Now().Add(time.Hour).Unix()
	for id, want := range map[int]string{42: "", 43: "oUnion43"} {
		bearer := f.foreignToken(fmt.Sprintf(`{"sub":%d,"openid":"oOld%d","unionid":"oForged","unionId":"oForged","iat":%d,"exp":%d}`, id, id, exp-3700, exp))
		if got := f.subjectOf(t, bearer); got.UserID != int64(id) || got.UnionID != want {
			t.Errorf("user %d: speaks for %+v, want the unionid %q", id, got, want)
		}
	}
}
