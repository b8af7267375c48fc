package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/valyala/fasthttp"
)

const testSecret = "main0123456789abcdefghijklmnopqrstuvwxyz"

// keyFile writes a new private key for an algorithm.
func keyFile(tb testing.TB, algorithm string) string {
	tb.Helper()
	private, err := GenerateKey(algorithm, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), algorithm+".pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// rings are a keyring for each algorithm, which signs with the key "main" and also verifies with one of each other kind.
func rings(tb testing.TB) map[string]*Keyring {
	tb.Helper()
	keys := map[string]KeyConfig{"HS256": {ID: "HS256", Secret: testSecret}}
	for _, algorithm := range []string{"RS256", "PS384", "ES256", "ES384", "EdDSA"} { // of each kind; authn tests all
		keys[algorithm] = KeyConfig{ID: algorithm, File: keyFile(tb, algorithm), Algorithm: algorithm}
	}
	all := make(map[string]*Keyring)
	for algorithm, first := range keys {
		list := []KeyConfig{first}
		for other, k := range keys {
			if other != algorithm {
				list = append(list, k)
			}
		}
		ring, err := NewKeyring(Config{Issuer: "wxgate", Algorithm: algorithm, Keys: list, MaxLife: 1000 * time.Second})
		if err != nil {
			tb.Fatal(err)
		}
		all[algorithm] = ring
	}
	return all
}

func goodClaims() *Claims {
	return &Claims{
		Issuer: "wxgate", Store: "s.1", UserID: 7, AppID: "wx3333333333333333", OpenID: "oAQSzRVoGnFD_JkJ5umqN9i4yA3_", UnionID: "oUQSzRVoGnFD_JkJ5umqN9i4yA3_", Nickname: "小爱",
		SessionID: "AAAAAAAAAAAAAAAAAAAAAA", TokenID: "BBBBBBBBBBBBBBBBBBBBBA", IssuedAt: 100, ExpiresAt: 900,
	}
}

func sign(tb testing.TB, ring *Keyring, c *Claims) string {
	tb.Helper()
	token, err := ring.Sign(c)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// signPayload signs any payload, as the holder of the first key could.
func signPayload(tb testing.TB, ring *Keyring, payload string) string {
	tb.Helper()
	text := ring.signer.header() + "." + segment(payload)
	signature, err := ring.signer.method.Sign(text, ring.signer.signing)
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// library verifies with contrib/jwt on a Fiber context, and reads what it passes on.
type library struct {
	ring *Keyring
	app  *fiber.App
	jwt  fiber.Handler
}

func newLibrary(ring *Keyring) library {
	return library{ring, fiber.New(), jwtware.New(jwtware.Config{
		ContextKey: "jwt", Claims: &Payload{}, KeyFunc: ring.Key,
		TokenProcessorFunc: func(token string) (string, error) { return token, ring.CheckForm(token) },
		SuccessHandler:     func(*fiber.Ctx) error { return nil },
		ErrorHandler:       func(_ *fiber.Ctx, err error) error { return err },
	})}
}

func (l library) verify(token string) (*Claims, error) {
	var request fasthttp.RequestCtx
	request.Request.Header.Set("Authorization", "Bearer "+token)
	c := l.app.AcquireCtx(&request)
	defer l.app.ReleaseCtx(c)
	if err := l.jwt(c); err != nil {
		return nil, ErrorOf(err)
	}
	parsed, _ := c.Locals("jwt").(*jwt.Token)
	payload, _ := parsed.Claims.(*Payload)
	return l.ring.Read(token, payload)
}

// class is the sentinel of an error.
func class(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrInvalid):
		return "invalid"
	}
	return err.Error()
}

// compareVerifiers wants Verify and contrib/jwt to agree on a token, and returns their decision.
func compareVerifiers(tb testing.TB, l library, token string) string {
	tb.Helper()
	if bearer, err := Bearer("Bearer " + token); err != nil || bearer != token {
		return "not a token" // neither of them ever gets it
	}
	c, ours, err := l.ring.Verify(token)
	if !ours {
		if err != nil {
			tb.Errorf("%q is not ours, and yet %v", token, err)
		}
		return "not ours"
	}
	want, wantErr := l.verify(token)
	got, wanted := class(err), class(wantErr)
	if got == "invalid" && wanted == "malformed" && l.ring.CheckForm(token) == nil && !l.signed(token) {
		return got // we do not look at the payload of a token that we did not sign
	}
	if got != wanted {
		tb.Errorf("%q is %s, and %s with contrib/jwt", token, got, wanted)
	}
	if err == nil && wantErr == nil && c != *want {
		tb.Errorf("%q: got %+v, contrib/jwt %+v", token, c, *want)
	}
	return got
}

// signed reports whether the library would take the signature, whatever the payload is.
func (l library) signed(token string) bool {
	at := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	header, _, _ := strings.Cut(token, ".")
	k := l.ring.byHeader[header].key
	return err == nil && k.method.Verify(token[:at], signature, k.verifying) == nil
}

// payloads are payloads that a reader can get wrong, and ways to get there from a good one.
func hostilePayload(r *rand.Rand, good string) string {
	if r.IntN(4) == 0 {
		whole := []string{
			"", "{}", "[]", "0", "-1", "1e2", `""`, `"{}"`, "true", "null", " null\n", "\t[{}]", "\ufeff{}", "{", "}", good + " ", " " + good, good + "x", good + good, good[:len(good)-1] + ",}", "{," + good[1:], good[:len(good)-1] + `,"exp":950}`,
			strings.Replace(good, `"sub":7`, `"sub":"7"`, 1), strings.Replace(good, `"sub":7`, `"SUB":7`, 1), strings.Replace(good, `"sub":7`, `"\u0073ub":7`, 1),
			strings.Replace(good, `"sid"`, `"ſid"`, 1), strings.Replace(good, `"openid"`, `"OpenID"`, 1), strings.Replace(good, "小爱", `\u5c0f\n<&>\ud83d\ude00`, 1),
			strings.Replace(good, "小爱", `\ud800`, 1), strings.Replace(good, "小爱", "\xff", 1), strings.Replace(good, "小爱", "\xed\xa0\x80", 1), strings.Replace(good, "小爱", "\x7f\u2028", 1),
			strings.Replace(good, "小爱", "a\nb", 1), strings.Replace(good, "小爱", `\x`, 1), strings.Replace(good, "小爱", `\`, 1), strings.Replace(good, `"iss"`, `"aud":"a","iss"`, 1),
			strings.Replace(good, `"iss"`, `"nbf":5,"iss"`, 1), strings.Replace(good, `"iss"`, `"nbf":-5,"iss"`, 1), strings.Replace(good, `"iss"`, `"x":{"y":[1,"}"]},"iss"`, 1),
			strings.Replace(good, `"iss"`, strings.Repeat(`"x":1,`, 40)+`"iss"`, 1), strings.Replace(good, `:`, ` : `, 3), strings.Replace(good, `"wxgate"`, `null`, 1),
		}
		return whole[r.IntN(len(whole))]
	}
	numbers := []string{
		"0", "1", "01", "-1", "+1", "1.0", "1e2", "1E2", "900", "9007199254740991", "9007199254740992", "90071992547409910", "9223372036854775808", `"5"`, `""`, `"`, "null", "true", "", "0x5",
		"100000", "[]", "{}", " 5", "5 ", "٣",
	}
	for _, name := range []string{`"sub":7`, `"iat":100`, `"exp":900`} {
		if r.IntN(3) == 0 {
			good = strings.Replace(good, name, name[:6]+numbers[r.IntN(len(numbers))], 1)
		}
	}
	text := []byte(good)
	for range r.IntN(3) {
		i, pieces := r.IntN(len(text)), `{}[]":,\ 0aZ-`+"\x00\n\x1f\x7f\x80\xc3\xff"
		switch r.IntN(3) {
		case 0:
			text[i] = pieces[r.IntN(len(pieces))]
		case 1:
			text = append(text[:i], text[i+1:]...)
		default:
			text = append(text[:i], append([]byte{pieces[r.IntN(len(pieces))]}, text[i:]...)...)
		}
	}
	return string(text)
}

// mutate changes characters of a token, or moves pieces of it.
func mutate(r *rand.Rand, token, other string) string {
	const signs = "ABCxyz019-_.=~+/"
	parts, others := strings.Split(token, "."), strings.Split(other, ".")
	text := []byte(token)
	i := r.IntN(len(text))
	if r.IntN(3) == 0 {
		i = len(text) - 1 - r.IntN(4) // the end of the signature, where unused bits are
	}
	switch r.IntN(8) {
	case 0, 1:
		text[i] = signs[r.IntN(len(signs))]
	case 2:
		text = append(text[:i], text[i+1:]...)
	case 3:
		text = append(text[:i], append([]byte{signs[r.IntN(len(signs))]}, text[i:]...)...)
	case 4:
		text = text[:i]
	case 5:
		return strings.Join([]string{parts[0], others[1], parts[2]}, ".")
	case 6:
		return strings.Join([]string{others[0], parts[1], parts[2]}, ".")
	default:
		return []string{parts[0], parts[0] + ".", parts[0] + "..", parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", token + ".", token + ".a", token + "="}[r.IntN(8)]
	}
	return string(text)
}

// TestOurVerifierAgreesWithTheLibrary compares them over tokens of every algorithm: whole ones, damaged ones, and ones whose
// signature is good and whose payload is not.
func TestOurVerifierAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	all := rings(t)
	for algorithm, ring := range all {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			r, l, met := rand.New(rand.NewPCG(13, 4)), newLibrary(ring), map[string]int{}
			good := sign(t, ring, goodClaims())
			met[compareVerifiers(t, l, good)]++
			for i := range base64urlValues { // spellings of the same signature
				if spelled := good[:len(good)-1] + string(rune(i)); spelled != good {
					if decision := compareVerifiers(t, l, spelled); decision == "accepted" {
						t.Errorf("%q is accepted, as is %q", spelled, good)
					}
				}
			}
			times := map[string]int{"HS256": 2_000}[algorithm] + 300
			if raceDetector { // everything is many times slower
				times /= 6
			}
			for range times {
				_, payload, _ := strings.Cut(good, ".")
				payload, _, _ = strings.Cut(payload, ".")
				text, _ := base64.RawURLEncoding.DecodeString(payload)
				whole := signPayload(t, ring, hostilePayload(r, string(text)))
				met[compareVerifiers(t, l, whole)]++
				for _, other := range all {
					met[compareVerifiers(t, l, mutate(r, whole, sign(t, other, goodClaims())))]++
				}
				if t.Failed() {
					return
				}
			}
			for _, decision := range []string{"accepted", "invalid", "malformed", "not ours"} {
				if met[decision] < times/50 {
					t.Errorf("%s was met %d times: %v", decision, met[decision], met)
				}
			}
		})
	}
}

// FuzzVerify compares both verifiers over a payload that is signed, and a token as it is.
func FuzzVerify(f *testing.F) {
	ring, err := NewKeyring(Config{Issuer: "wxgate", Algorithm: "HS256", Keys: []KeyConfig{{ID: "main", Secret: testSecret}}, MaxLife: 1000 * time.Second})
	if err != nil {
		f.Fatal(err)
	}
	l := newLibrary(ring)
	f.Add(`{"iss":"wxgate","store":"s","sub":1,"appid":"a","openid":"o","sid":"s","jti":"t","iat":1,"exp":2}`, sign(f, ring, goodClaims()))
	f.Add(`{"iss":"wxgate","nickname":"\u003c","sub":"1"}`, "a.b.c")
	f.Add("\t null ", "a.b.c")
	f.Fuzz(func(t *testing.T, payload, token string) {
		compareVerifiers(t, l, signPayload(t, ring, payload))
		compareVerifiers(t, l, token)
	})
}

// TestClaimsOutliveTheToken: the token is in the buffer of a request.
func TestClaimsOutliveTheToken(t *testing.T) {
	t.Parallel()
	ring := rings(t)["HS256"]
	token := []byte(sign(t, ring, goodClaims()))
	c, _, err := ring.Verify(string(token))
	clear(token)
	if want := goodClaims(); err != nil || c != *want {
		t.Errorf("got %+v, %v, want %+v", c, err, *want)
	}
}

// TestABadMACCostsNoMemory is about floods of tokens that somebody made up.
func TestABadMACCostsNoMemory(t *testing.T) {
	if raceDetector {
		t.Skip("pools forget at random")
	}
	ring := rings(t)["HS256"]
	good := sign(t, ring, goodClaims())
	bad := good[:len(good)-5] + "AAAAA"
	if bad == good {
		t.Fatal("the token is good")
	}
	if n := testing.AllocsPerRun(1000, func() { _, _, _ = ring.Verify(bad) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSecretsOfOtherKeysVerifyNothing signs with each key under the header of each other one.
func TestSecretsOfOtherKeysVerifyNothing(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyring(Config{Issuer: "wxgate", Algorithm: "HS256", MaxLife: time.Hour, Keys: []KeyConfig{
		{ID: "new", Secret: testSecret}, {ID: "old", Secret: "another0123456789abcdefghijklmnopqrstuvw"}, {ID: "ed", File: keyFile(t, "EdDSA")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, payload, _ := strings.Cut(sign(t, ring, goodClaims()), ".")
	payload, _, _ = strings.Cut(payload, ".")
	for named, v := range ring.byHeader {
		for _, secret := range [][]byte{[]byte(testSecret), []byte("another0123456789abcdefghijklmnopqrstuvw"), {}, v.key.seed} {
			sum := hmac.New(sha256.New, secret)
			_, _ = fmt.Fprintf(sum, "%s.%s", named, payload)
			_, ours, err := ring.Verify(named + "." + payload + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)))
			own, shared := v.key.verifying.([]byte)
			if want := shared && string(own) == string(secret); !ours || (err == nil) != want {
				t.Errorf("a token of key %s signed with %.8q: %v", v.key.id, secret, err)
			}
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for algorithm, ring := range rings(b) {
		good := sign(b, ring, goodClaims())
		tokens := map[string]string{"valid": good, "bad signature": good[:len(good)-10] + "AAAAAAAAAA"}
		l := newLibrary(ring)
		for name, token := range tokens {
			b.Run(algorithm+"/"+name+"/own", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _, _ = ring.Verify(token)
				}
			})
			b.Run(algorithm+"/"+name+"/library", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = l.verify(token)
				}
			})
		}
	}
}
