package token

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// readImported reads the payload of an existing backend as RFC 7519 says: names are compared exactly, so openId is a claim
// of the backend's own; times are numbers of seconds, fractions too; null is no value. Of two claims of one name the last
// counts (§4). A token with an iss or a sid is not an imported one, and one with an aud is meant for somebody else (§4.1.3).
// An openid is left empty where the payload has none.
func readImported(payload []byte) (*Claims, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil || members == nil {
		return nil, fmt.Errorf("%w: the payload is not an object", ErrMalformed)
	}
	for name, value := range members {
		if string(value) == "null" {
			delete(members, name)
		}
	}
	for _, name := range []string{"iss", "sid", "aud"} {
		if _, there := members[name]; there {
			return nil, fmt.Errorf("%w: it has the claim %s", ErrInvalid, name)
		}
	}
	c := &Claims{Imported: true, Purpose: otherPurpose(members)}
	for name, into := range map[string]*int64{"iat": &c.IssuedAt, "exp": &c.ExpiresAt, "nbf": &c.NotBefore} {
		if err := NumericDate(into, members[name]); err != nil {
			return nil, err
		}
	}
	if openID, there := members["openid"]; there {
		if err := setString(&c.OpenID, openID); err != nil {
			return nil, err
		}
	}
	if err := setInteger(&c.UserID, unquoted(members["sub"])); err != nil {
		return nil, err
	}
	c.IssuedAt = max(1, min(c.IssuedAt, c.ExpiresAt-1))
	if c.UserID < 1 || c.ExpiresAt <= c.IssuedAt {
		return nil, ErrInvalid
	}
	return c, nil
}

// importedHeader reports whether a first segment is that of a plain HS256 token: alg and typ, no kid and nothing else that
// could choose a key.
func importedHeader(segment string) bool {
	data, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return false
	}
	switch string(data) {
	case `{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"HS256"}`, `{"alg":"HS256"}`:
		return true
	}
	return false
}

// idFrom derives an id in the form of ours from an imported token, so that logout, refresh and reuse of one token mean the
// same session wherever and whenever they happen.
func idFrom(purpose, token string) string {
	sum := sha256.Sum256([]byte("wxgate foreign " + purpose + "\x00" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// NumericDate takes a NumericDate (RFC 7519 §2) down to its whole second. Without a value it changes nothing.
func NumericDate(into *int64, value json.RawMessage) error {
	if len(value) == 0 {
		return nil
	}
	var seconds float64
	if err := json.Unmarshal(value, &seconds); err != nil || seconds < 0 || seconds > maxUserID {
		return fmt.Errorf("%w: a time is not a number of seconds", ErrMalformed)
	}
	*into = int64(math.Floor(seconds))
	return nil
}

// otherPurpose is the claim by which a backend tells its tokens for a password reset, an e-mail address or a refresh from
// those for access: they are signed with the same key (RFC 8725 §2.8, §3.12).
func otherPurpose(members map[string]json.RawMessage) string {
	for name, value := range members {
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
