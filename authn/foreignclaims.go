package authn

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// foreignClaims is what we want of the payload of an existing backend.
type foreignClaims struct {
	UserID    int64
	OpenID    string // "": it says none
	IssuedAt  int64  // 0: it says none; so with the two below
	ExpiresAt int64
	NotBefore int64

	purpose string // the claim that says that the token is for something else than access; "": none does
}

// readForeign reads a payload as RFC 7519 says: names are compared exactly, so openId is a claim of the backend's own;
// times are numbers of seconds, fractions too; null is no value. Of two claims of one name the last counts (§4). A token
// with an iss or a sid is not a foreign one, and one with an aud is meant for somebody else (§4.1.3).
func readForeign(payload []byte) (foreignClaims, error) {
	var said map[string]json.RawMessage
	if err := json.Unmarshal(payload, &said); err != nil || said == nil {
		return foreignClaims{}, fmt.Errorf("%w: the payload is not an object", ErrTokenMalformed)
	}
	for name, value := range said {
		if string(value) == "null" {
			delete(said, name)
		}
	}
	for _, name := range []string{"iss", "sid", "aud"} {
		if _, there := said[name]; there {
			return foreignClaims{}, fmt.Errorf("%w: it has the claim %s", ErrTokenInvalid, name)
		}
	}
	c := foreignClaims{purpose: otherPurpose(said)}
	for name, into := range map[string]*int64{"iat": &c.IssuedAt, "exp": &c.ExpiresAt, "nbf": &c.NotBefore} {
		if err := setNumericDate(into, said[name]); err != nil {
			return c, err
		}
	}
	if openID, there := said["openid"]; there {
		if err := setString(&c.OpenID, openID); err != nil {
			return c, err
		}
	}
	return c, setInteger(&c.UserID, unquoted(said["sub"]))
}

// setNumericDate takes a NumericDate (RFC 7519 §2) down to its whole second.
func setNumericDate(into *int64, value json.RawMessage) error {
	if len(value) == 0 {
		return nil
	}
	var seconds float64
	if err := json.Unmarshal(value, &seconds); err != nil || seconds < 0 || seconds > maxUserID {
		return fmt.Errorf("%w: a time is not a number of seconds", ErrTokenMalformed)
	}
	*into = int64(math.Floor(seconds))
	return nil
}

// otherPurpose is the claim by which a backend tells its tokens for a password reset, an e-mail address or a refresh from
// those for access: they are signed with the same key (RFC 8725 §2.8, §3.12).
func otherPurpose(said map[string]json.RawMessage) string {
	for name, value := range said {
		switch folded := foldClaim(name); {
		case slices.Contains(purposeClaims(), folded):
			var purpose string
			if json.Unmarshal(value, &purpose) != nil || !slices.Contains(accessPurposes(), foldClaim(purpose)) {
				return name
			}
		case slices.Contains(purposeFlags(), strings.TrimPrefix(folded, "is")) && string(value) != "false":
			return name
		}
	}
	return ""
}

// purposeClaims are the names under which libraries and backends say what a token is for.
func purposeClaims() []string {
	return []string{"typ", "type", "tokentype", "tokenuse", "use", "usage", "purpose", "kind", "action", "for"}
}

// accessPurposes are the values that mean access by a user.
func accessPurposes() []string {
	return []string{
		"access", "accesstoken", "bearer", "jwt", "auth", "login", "session", "user", "member", "customer", "client", "app",
		"wechat", "wx", "weapp", "miniapp", "miniprogram", "mp", "web", "h5",
	}
}

// purposeFlags are claims that say by being there that a token is for something else; is may stand before them.
func purposeFlags() []string {
	return []string{"refresh", "refreshtoken", "reset", "resetpassword", "passwordreset", "verify", "verifyemail", "emailverification", "invite", "activation"}
}

// foldClaim writes a name in lower case, without the signs between its words.
func foldClaim(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
}
