package authn

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
)

// forge makes tokens that look like ours. Where a test says so the signature is right, as an attacker could have it who
// holds a key of another kind, or an existing backend that signs more loosely than we do.
type forge struct {
	*fixture
	good   string // a token of ours
	secret []byte
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := newFixture(t)
	return &forge{fixture: f, good: f.loginAs(t, "alice").Token, secret: []byte(f.key.Secret.Reveal())}
}

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func (f *forge) header() string    { return strings.Split(f.good, ".")[0] }
func (f *forge) payload() string   { return strings.Split(f.good, ".")[1] }
func (f *forge) signature() string { return strings.Split(f.good, ".")[2] }

// signed joins two segments and signs them with our secret.
func (f *forge) signed(header, payload string) string {
	return f.signedWith(sha256.New, header, payload)
}

func (f *forge) signedWith(h func() hash.Hash, header, payload string) string {
	mac := hmac.New(h, f.secret)
	mac.Write([]byte(header + "." + payload))
	return header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// withHeader is a rightly signed token with another header.
func (f *forge) withHeader(json string) string { return f.signed(segment(json), f.payload()) }

// claims is the payload of the good token as JSON.
func (f *forge) claims(t *testing.T) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(f.payload())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// withClaims is a rightly signed token whose payload was changed by replacing one text by another.
func (f *forge) withClaims(t *testing.T, old, changed string) string {
	t.Helper()
	claims := f.claims(t)
	if !strings.Contains(claims, old) {
		t.Fatalf("the claims %s do not hold %s", claims, old)
	}
	return f.signed(f.header(), segment(strings.Replace(claims, old, changed, 1)))
}

// hostileTokens are tokens that must never pass, each with what is wrong with it.
func (f *forge) hostileTokens(t *testing.T) map[string]string {
	t.Helper()
	now := f.clock.Now().Unix()
	exp := fmt.Sprintf(`"exp":%d`, now+int64(f.cfg.TokenTTL/time.Second))
	iat := fmt.Sprintf(`"iat":%d`, now)
	hostile := map[string]string{
		// The algorithm is the key's, never the token's (RFC 8725 §3.1).
		"HS384 with the right MAC":       f.signedWith(sha512.New384, segment(`{"alg":"HS384","kid":"main","typ":"JWT"}`), f.payload()),
		"HS512 with the right MAC":       f.signedWith(sha512.New, segment(`{"alg":"HS512","kid":"main","typ":"JWT"}`), f.payload()),
		"HS512 named, HS256 made":        f.withHeader(`{"alg":"HS512","kid":"main","typ":"JWT"}`),
		"RS256 named, HS256 made":        f.withHeader(`{"alg":"RS256","kid":"main","typ":"JWT"}`),
		"ES256 named, HS256 made":        f.withHeader(`{"alg":"ES256","kid":"main","typ":"JWT"}`),
		"EdDSA named, HS256 made":        f.withHeader(`{"alg":"EdDSA","kid":"main","typ":"JWT"}`),
		"alg in lower case":              f.withHeader(`{"alg":"hs256","kid":"main","typ":"JWT"}`),
		"no alg":                         f.withHeader(`{"kid":"main","typ":"JWT"}`),
		"alg a number":                   f.withHeader(`{"alg":256,"kid":"main","typ":"JWT"}`),
		"alg null":                       f.withHeader(`{"alg":null,"kid":"main","typ":"JWT"}`),
		"alg twice":                      f.withHeader(`{"alg":"none","alg":"HS256","kid":"main","typ":"JWT"}`),
		"ALG beside alg":                 f.withHeader(`{"ALG":"none","alg":"HS256","kid":"main","typ":"JWT"}`),
		"alg empty, signature empty":     segment(`{"alg":"","kid":"main","typ":"JWT"}`) + "." + f.payload() + ".",
		"no kid":                         f.withHeader(`{"alg":"HS256","typ":"JWT"}`),
		"kid of nobody":                  f.withHeader(`{"alg":"HS256","kid":"other","typ":"JWT"}`),
		"kid a path":                     f.withHeader(`{"alg":"HS256","kid":"../../../../dev/null","typ":"JWT"}`),
		"kid SQL":                        f.withHeader(`{"alg":"HS256","kid":"x' UNION SELECT 'key","typ":"JWT"}`),
		"kid with NUL":                   f.withHeader(`{"alg":"HS256","kid":"main\u0000","typ":"JWT"}`),
		"kid a list":                     f.withHeader(`{"alg":"HS256","kid":["main"],"typ":"JWT"}`),
		"kid empty":                      f.withHeader(`{"alg":"HS256","kid":"","typ":"JWT"}`),
		"kid twice":                      f.withHeader(`{"alg":"HS256","kid":"other","kid":"main","typ":"JWT"}`),
		"jku":                            f.withHeader(`{"alg":"HS256","jku":"https://evil.example/jwks","kid":"main","typ":"JWT"}`),
		"x5u":                            f.withHeader(`{"alg":"HS256","kid":"main","typ":"JWT","x5u":"https://evil.example/x"}`),
		"jwk":                            f.withHeader(`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"kid":"main","typ":"JWT"}`),
		"x5c":                            f.withHeader(`{"alg":"HS256","kid":"main","typ":"JWT","x5c":["AA"]}`),
		"crit":                           f.withHeader(`{"alg":"HS256","crit":["exp"],"kid":"main","typ":"JWT"}`),
		"b64 false":                      f.withHeader(`{"alg":"HS256","b64":false,"crit":["b64"],"kid":"main","typ":"JWT"}`),
		"zip":                            f.withHeader(`{"alg":"HS256","kid":"main","typ":"JWT","zip":"DEF"}`),
		"cty JWT, a nested one":          f.signed(segment(`{"alg":"HS256","cty":"JWT","kid":"main","typ":"JWT"}`), segment(f.good)),
		"the payload is a token":         f.signed(f.header(), segment(f.good)),
		"typ of another kind":            f.withHeader(`{"alg":"HS256","kid":"main","typ":"at+jwt"}`),
		"header with spaces":             f.withHeader(`{"alg": "HS256", "kid": "main", "typ": "JWT"}`),
		"header with a BOM":              f.withHeader("\ufeff" + `{"alg":"HS256","kid":"main","typ":"JWT"}`),
		"header not JSON":                f.withHeader(`alg=HS256`),
		"header a list":                  f.withHeader(`["HS256"]`),
		"header an HS key as public key": f.withHeader(`{"alg":"RS256","kid":"main","typ":"JWT"}`),

		// token.Claims mean one thing or nothing.
		"exp missing":           f.withClaims(t, ","+exp, ""),
		"exp a string":          f.withClaims(t, exp, fmt.Sprintf(`"exp":"%d"`, now+3600)),
		"exp a float":           f.withClaims(t, exp, fmt.Sprintf(`"exp":%d.5`, now+3600)),
		"exp with .0":           f.withClaims(t, exp, fmt.Sprintf(`"exp":%d.0`, now+3600)),
		"exp an exponent":       f.withClaims(t, exp, `"exp":1e10`),
		"exp 1e400":             f.withClaims(t, exp, `"exp":1e400`),
		"exp negative":          f.withClaims(t, exp, `"exp":-1`),
		"exp zero":              f.withClaims(t, exp, `"exp":0`),
		"exp null":              f.withClaims(t, exp, `"exp":null`),
		"exp true":              f.withClaims(t, exp, `"exp":true`),
		"exp a list":            f.withClaims(t, exp, fmt.Sprintf(`"exp":[%d]`, now+3600)),
		"exp over 2^53":         f.withClaims(t, exp, `"exp":9007199254740993`),
		"exp over 2^63":         f.withClaims(t, exp, `"exp":9223372036854775808`),
		"exp with a zero":       f.withClaims(t, exp, fmt.Sprintf(`"exp":0%d`, now+3600)),
		"exp passed":            f.withClaims(t, exp, fmt.Sprintf(`"exp":%d`, now-3600)),
		"exp before iat":        f.withClaims(t, exp, fmt.Sprintf(`"exp":%d`, now)),
		"exp twice":             f.withClaims(t, exp, fmt.Sprintf(`"exp":1,"exp":%d`, now+3600)),
		"EXP beside exp":        f.withClaims(t, exp, exp+fmt.Sprintf(`,"EXP":%d`, now+3600)),
		"exp spelled with \\u":  f.withClaims(t, exp, exp+fmt.Sprintf(`,"\u0065xp":%d`, now+9999)),
		"nbf in the future":     f.withClaims(t, exp, exp+fmt.Sprintf(`,"nbf":%d`, now+3600)),
		"nbf a string":          f.withClaims(t, exp, exp+`,"nbf":"0"`),
		"iat in the future":     f.withClaims(t, iat, fmt.Sprintf(`"iat":%d`, now+3600)),
		"iat missing":           f.withClaims(t, iat+",", ""),
		"iat a float":           f.withClaims(t, iat, fmt.Sprintf(`"iat":%d.1`, now)),
		"sub missing":           f.withClaims(t, `"sub":1,`, ""),
		"sub zero":              f.withClaims(t, `"sub":1,`, `"sub":0,`),
		"sub negative":          f.withClaims(t, `"sub":1,`, `"sub":-1,`),
		"sub a float":           f.withClaims(t, `"sub":1,`, `"sub":1.0,`),
		"sub an exponent":       f.withClaims(t, `"sub":1,`, `"sub":1e0,`),
		"sub a word":            f.withClaims(t, `"sub":1,`, `"sub":"admin",`),
		"sub with a space":      f.withClaims(t, `"sub":1,`, `"sub":" 1",`),
		"sub hexadecimal":       f.withClaims(t, `"sub":1,`, `"sub":"0x1",`),
		"sub with a plus":       f.withClaims(t, `"sub":1,`, `"sub":"+1",`),
		"sub padded":            f.withClaims(t, `"sub":1,`, `"sub":"01",`),
		"sub empty":             f.withClaims(t, `"sub":1,`, `"sub":"",`),
		"sub a list":            f.withClaims(t, `"sub":1,`, `"sub":[1],`),
		"sub null":              f.withClaims(t, `"sub":1,`, `"sub":null,`),
		"sub over 2^53":         f.withClaims(t, `"sub":1,`, `"sub":9007199254740992,`),
		"sub twice":             f.withClaims(t, `"sub":1,`, `"sub":2,"sub":1,`),
		"Sub beside sub":        f.withClaims(t, `"sub":1,`, `"Sub":2,"sub":1,`),
		"iss of another":        f.withClaims(t, `"iss":"wxgate"`, `"iss":"other"`),
		"iss missing":           f.withClaims(t, `"iss":"wxgate",`, ""),
		"iss a list":            f.withClaims(t, `"iss":"wxgate"`, `"iss":["wxgate"]`),
		"exp in ten years":      f.withClaims(t, exp, fmt.Sprintf(`"exp":%d`, now+10*365*86400)),
		"exp in milliseconds":   f.withClaims(t, exp, fmt.Sprintf(`"exp":%d`, (now+3600)*1000)),
		"exp a second beyond":   f.withClaims(t, exp, fmt.Sprintf(`"exp":%d`, now+1+int64((f.cfg.TokenTTL+f.cfg.Refresh.Window)/time.Second))),
		"exp as far as it goes": f.withClaims(t, exp, `"exp":9007199254740991`),
		"iat zero, exp soon":    f.withClaims(t, iat, `"iat":1`),
		"nickname no UTF-8":     f.withClaims(t, `"iss":"wxgate"`, `"nickname":"`+"\xff\xfe"+`","iss":"wxgate"`),
		"nickname cut UTF-8":    f.withClaims(t, `"iss":"wxgate"`, `"nickname":"`+"\xe8\x8f"+`","iss":"wxgate"`),
		"a surrogate in UTF-8":  f.withClaims(t, `"iss":"wxgate"`, `"nickname":"`+"\xed\xa0\x80"+`","iss":"wxgate"`),
		"other name no UTF-8":   f.withClaims(t, `"iss":"wxgate"`, `"x`+"\xff"+`":1,"iss":"wxgate"`),
		"store of another":      f.withClaims(t, `"store":"`+f.Tokens.state()+`"`, `"store":""`),
		"openid empty":          f.signed(f.header(), segment(`{"iss":"wxgate","sub":1,"exp":9999999999,"iat":1}`)),
		"sid of another form":   f.withClaims(t, `"sid":"`, `"sid":"x`),
		"jti missing":           f.withClaims(t, `"jti":`, `"other":`),
		"an audience":           f.withClaims(t, `"iss":"wxgate"`, `"aud":"recipes","iss":"wxgate"`),
		"payload a list":        f.signed(f.header(), segment(`[1]`)),
		"payload a string":      f.signed(f.header(), segment(`"x"`)),
		"payload null":          f.signed(f.header(), segment(`null`)),
		"payload empty":         f.signed(f.header(), ""),
		"payload not JSON":      f.signed(f.header(), segment(`{"sub":1`)),
		"payload and more":      f.signed(f.header(), segment(f.claims(t)+`{}`)),
		"payload UTF-16":        f.signed(f.header(), segment("\xff\xfe{\x00}\x00")),
		"a thousand claims":     f.withClaims(t, `"iss":"wxgate"`, manyClaims(1000)+`"iss":"wxgate"`),

		// One spelling (RFC 7515 §2, RFC 4648 §3.5).
		"padding":                   f.good + "=",
		"padded payload":            f.header() + "." + f.payload() + "==." + f.signature(),
		"a space inside":            f.header() + ". " + f.payload() + "." + f.signature(),
		"a line feed inside":        f.header() + "." + f.payload() + ".\n" + f.signature(),
		"a line feed in base64":     f.header() + "." + f.payload()[:4] + "\r\n" + f.payload()[4:] + "." + f.signature(),
		"NUL at the end":            f.good + "\x00",
		"standard alphabet":         f.header() + "." + f.payload() + "." + "+/" + f.signature()[2:],
		"trailing bits changed":     f.good[:len(f.good)-1] + string(nextBase64(f.good[len(f.good)-1])),
		"an extra dot":              f.good + ".",
		"a leading dot":             "." + f.good,
		"four segments":             f.good + "." + f.signature(),
		"five segments":             f.good + ".a.b",
		"two segments":              f.header() + "." + f.payload(),
		"no signature":              f.header() + "." + f.payload() + ".",
		"one dot":                   ".",
		"two dots":                  "..",
		"an empty token":            "",
		"1 MB":                      f.good + strings.Repeat("A", 1<<20),
		"1 MB of dots":              strings.Repeat(".", 1<<20),
		"the MAC of other bytes":    f.header() + "." + segment(`{"sub":2}`) + "." + f.signature(),
		"a MAC cut short":           f.good[:len(f.good)-4],
		"a MAC of zeros":            f.header() + "." + f.payload() + "." + strings.Repeat("A", 43),
		"the key of nobody":         f.otherKey(),
		"the JSON serialisation":    `{"protected":"` + f.header() + `","payload":"` + f.payload() + `","signature":"` + f.signature() + `"}`,
		"non-ASCII":                 "é." + f.payload() + "." + f.signature(),
		"a percent-encoded token":   strings.ReplaceAll(f.good, ".", "%2E"),
		"a quoted token":            `"` + f.good + `"`,
		"two tokens with a comma":   f.good + "," + f.good,
		"the scheme twice":          "Bearer " + f.good,
		"a WeChat session_key":      "tiihtNczf5v6AKRyjwEUhQ==",
		"nothing but white space":   "   ",
		"a signed identity of ours": f.signedIdentity(t),
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "none ", "noNe"} {
		header := segment(`{"alg":"` + none + `","kid":"main","typ":"JWT"}`)
		hostile["alg "+none+", no signature"] = header + "." + f.payload() + "."
		hostile["alg "+none+", a signature"] = f.signed(header, f.payload())
	}
	return hostile
}

func manyClaims(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"c%d":%d,`, i, i)
	}
	return b.String()
}

// nextBase64 is another character that a lenient decoder reads as the same last byte.
func nextBase64(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

func (f *forge) otherKey() string {
	g := *f
	g.secret = []byte(strings.Repeat("x", minSecretBytes))
	return g.signed(f.header(), f.payload())
}

func (f *forge) signedIdentity(t *testing.T) string {
	t.Helper()
	signer, err := f.Tokens.Keys().NewSigner(time.Minute, f.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := signer.Sign(1, "o1", "recipes", "r1")
	if err != nil {
		t.Fatal(err)
	}
	return bearer
}

func TestAHostileTokenNeverPasses(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	f.wantVerdict(t, "the token that all of these are made from", f.good, nil)
	hostile := f.hostileTokens(t)
	if len(hostile) < 60 {
		t.Errorf("there are %d hostile tokens, want at least 60", len(hostile))
	}
	for name, bearer := range hostile {
		if err := f.verdict(bearer); !isRefusal(err) {
			t.Errorf("%s: %v, want a refusal; token %.200q", name, err, bearer)
		}
		if _, err := f.Refresh(t.Context(), bearer); err == nil {
			t.Errorf("%s: refresh gave a token for %.200q", name, bearer)
		}
	}
	f.wantVerdict(t, "the good token afterwards", f.good, nil)
}

// isRefusal reports whether an error is one of the 401s.
func isRefusal(err error) bool {
	for _, refusal := range []error{token.ErrMissing, token.ErrMalformed, token.ErrInvalid, token.ErrExpired, token.ErrRevoked} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// TestANumericSubIsTheSameAsANumber shows what existing back ends issue: both forms mean one user.
func TestANumericSubIsTheSameAsANumber(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	f.wantVerdict(t, `"sub":"1"`, f.withClaims(t, `"sub":1,`, `"sub":"1",`), nil)
}
