package authn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
)

// TestClaimsOfAnExistingBackendAreItsOwnAffair has the claims that real backends put beside sub and exp.
func TestClaimsOfAnExistingBackendAreItsOwnAffair(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	exp := f.clock.Now().Add(time.Hour).Unix()
	for i, more := range []string{
		`"openId":"oOld42"`, `"nickName":"老用户"`, `"appId":"wx1"`, `"nickname":null`, `"openid":null`, `"jti":17`, `"jti":null`, `"appid":7`,
		`"store":{"id":3}`, `"Sub":7,"EXP":"never"`, `"nickname":["a"]`, `"iss":null,"sid":null,"aud":null`, `"nbf":null`, `"nbf":1.5`,
		`"type":"access"`, `"token_type":"Bearer"`, `"tokenUse":"access_token"`, `"isRefreshToken":false`, `"type":null`, `"role":"refresh"`,
		`"o":"last of two","o":"counts"`, `"n":1e400`,
	} {
		for _, times := range []string{`"iat":%d,"exp":%d`, `"iat":%d.25,"exp":%d.75`, `"exp":%[4]d`, `"iat":null,"exp":%[4]de0`} {
			bearer := f.foreignToken(fmt.Sprintf(`{"sub":42,"n%d":0,%s,`+times+`}`, i, more, exp-3600, exp))
			f.wantVerdict(t, more+" "+times, bearer, nil)
			if got := f.subjectOf(t, bearer); got.UserID != 42 || got.OpenID != "oOld42" || got.Nickname != "老用户" || got.ExpiresAt.Unix() != exp {
				t.Errorf("%s: speaks for %+v", more, got)
			}
		}
	}
}

// TestATokenOfABackendForAnotherPurposeIsRefused: they are signed with the same key as those for access.
func TestATokenOfABackendForAnotherPurposeIsRefused(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	exp := f.clock.Now().Add(time.Hour).Unix()
	for _, more := range []string{
		`"type":"refresh"`, `"token_type":"refresh"`, `"tokenType":"RESET_PASSWORD"`, `"token_use":"id"`, `"purpose":"verify-email"`, `"typ":"Refresh"`,
		`"TYPE":"refresh"`, `"use":["access"]`, `"action":"unsubscribe"`, `"isRefreshToken":true`, `"refresh":1`, `"is_reset":"yes"`, `"type":""`, `"kind":2`,
	} {
		f.wantVerdict(t, more, f.foreignToken(fmt.Sprintf(`{"sub":42,"exp":%d,%s}`, exp, more)), token.ErrInvalid)
	}
}

func TestWhoTriesATokenOfABackendIsToldWhichClaimSaysAnotherPurpose(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	exp := f.clock.Now().Add(time.Hour).Unix()
	err := CheckToken(f.cfg, f.foreignToken(fmt.Sprintf(`{"sub":42,"exp":%d,"tokenType":"shopper"}`, exp)), f.clock.Now())
	if !errors.Is(err, token.ErrInvalid) || !strings.Contains(err.Error(), `its claim "tokenType" says that it is for another purpose`) {
		t.Errorf("got %v, want %v and the claim", err, token.ErrInvalid)
	}
	if err := CheckToken(f.cfg, f.foreignToken(fmt.Sprintf(`{"sub":42,"exp":%d,"tokenType":"access"}`, exp)), f.clock.Now()); err != nil {
		t.Errorf("a token for access: %v, want none", err)
	}
}

func TestAForeignTokenIsBoundedInTimeAndForm(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	now := f.clock.Now()
	exp := now.Add(time.Hour).Unix()
	f.wantVerdict(t, "a year ahead", f.foreignToken(fmt.Sprintf(`{"sub":42,"exp":%d}`, now.Add(importedLife).Unix())), nil)
	for name, claims := range map[string]string{
		"a hundred years":       fmt.Sprintf(`{"sub":42,"exp":%d}`, now.AddDate(100, 0, 0).Unix()),
		"more than a year":      fmt.Sprintf(`{"sub":42,"exp":%d}`, now.Add(importedLife).Unix()+1),
		"milliseconds":          fmt.Sprintf(`{"sub":42,"exp":%d}`, exp*1000),
		"beyond all numbers":    `{"sub":42,"exp":1e400}`,
		"exp null":              `{"sub":42,"exp":null}`,
		"exp a string":          fmt.Sprintf(`{"sub":42,"exp":"%d"}`, exp),
		"exp negative":          `{"sub":42,"exp":-1}`,
		"nbf ahead":             fmt.Sprintf(`{"sub":42,"exp":%d,"nbf":%d}`, exp, exp),
		"iat ahead":             fmt.Sprintf(`{"sub":42,"exp":%d,"iat":%d}`, exp, exp-60),
		"iss of the backend":    fmt.Sprintf(`{"sub":42,"exp":%d,"iss":"shop"}`, exp),
		"a sid":                 fmt.Sprintf(`{"sub":42,"exp":%d,"sid":"1"}`, exp),
		"an empty audience":     fmt.Sprintf(`{"sub":42,"exp":%d,"aud":[]}`, exp),
		"openid a number":       fmt.Sprintf(`{"sub":42,"exp":%d,"openid":42}`, exp),
		"openid of another":     fmt.Sprintf(`{"sub":42,"exp":%d,"openid":"oNew"}`, exp),
		"no sub":                fmt.Sprintf(`{"exp":%d}`, exp),
		"sub null":              fmt.Sprintf(`{"sub":null,"exp":%d}`, exp),
		"the last sub, no user": fmt.Sprintf(`{"sub":42,"sub":43,"exp":%d}`, exp),
		"no UTF-8":              fmt.Sprintf(`{"sub":42,"exp":%d,"nickName":"%s"}`, exp, "\xff"),
		"null":                  `null`,
		"a list":                `[42]`,
	} {
		if err := f.verdict(f.foreignToken(claims)); !isRefusal(err) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

// TestATokenWithoutKidIsNeverReadAsOneOfOurs: with accept_foreign a token of our claims, but without our header, is no
// session of ours.
func TestATokenWithoutKidIsNeverReadAsOneOfOurs(t *testing.T) {
	t.Parallel()
	f := newMigration(t, true)
	g := &forge{fixture: f, good: f.loginAs(t, "alice").Token, secret: []byte(f.key.Secret.Reveal())}
	f.wantVerdict(t, "ours without its kid", f.foreignToken(g.claims(t)), token.ErrInvalid)
}
