package issuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/issuer"
	"wxgate/authn/issuer/issuertest"
	"wxgate/authn/token"
	"wxgate/secret"
)

const (
	iss = "https://auth.example.com/realms/admin"
	aud = "admin-api"
)

// config is an issuer with keys at an address.
func config(jwks string, algorithms ...string) issuer.Config {
	return issuer.Config{
		Name: "admin", Issuer: iss, JWKS: jwks, Algorithms: algorithms, Audience: issuer.Audience{aud}, Subject: "sub",
		Headers: map[string]string{"X-Admin-Id": "sub", "X-Admin-Name": "name", "X-Admin-Roles": "realm_access.roles"},
	}
}

func newSet(t *testing.T, cfgs ...issuer.Config) *issuer.Set {
	t.Helper()
	s := issuer.NewSet(cfgs, 5*time.Second, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	t.Cleanup(s.Close)
	return s
}

func verify(s *issuer.Set, bearer string) (*issuer.Caller, error) {
	return s.Verify(context.Background(), "admin", "Bearer "+bearer)
}

func TestATokenOfEachAlgorithmNamesItsCaller(t *testing.T) {
	t.Parallel()
	secrets := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}
	for _, algorithm := range append(token.PublicAlgorithms(), token.SecretAlgorithms()...) {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			cfg, k := config(""), issuertest.Key{Algorithm: algorithm}
			cfg.Algorithms = []string{algorithm}
			if size := secrets[algorithm]; size > 0 {
				text := strings.Repeat("tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA", 2)[:size]
				k.Signing = []byte(text)
				cfg.Secret = secret.Text(text)
			} else {
				k = issuertest.NewKey(t, "k1", algorithm)
				cfg.JWKS = issuertest.NewServer(t, false, k).URL
			}
			if faults := cfg.Validate(); len(faults) > 0 {
				t.Fatal(faults)
			}
			s := newSet(t, cfg)
			good := k.Sign(t, issuertest.Claims(iss, aud, "7d9c", map[string]any{"name": "管理员", "realm_access": map[string]any{"roles": []string{"a", "b"}}}))
			for range 2 { // from the cache too
				c, err := verify(s, good)
				want := []issuer.Claim{{Name: "name", Value: "管理员"}, {Name: "realm_access.roles", Value: "a,b"}, {Name: "sub", Value: "7d9c"}}
				if err != nil || c.Issuer != "admin" || c.Subject != "7d9c" || fmt.Sprint(c.Claims) != fmt.Sprint(want) {
					t.Fatalf("got %+v, %v", c, err)
				}
			}
			if _, err := verify(s, good[:len(good)-6]+"AAAAAA"); !errors.Is(err, token.ErrInvalid) && !errors.Is(err, token.ErrMalformed) {
				t.Errorf("with another signature: %v", err)
			}
		})
	}
}

// TestATokenChoosesNothing has the tokens of somebody who knows the public key, or has a key of his own.
func TestATokenChoosesNothing(t *testing.T) {
	t.Parallel()
	k, stranger := issuertest.NewKey(t, "k1", "RS256"), issuertest.NewKey(t, "k1", "RS256")
	other := issuertest.NewKey(t, "k2", "ES256")
	s := newSet(t, config(issuertest.NewServer(t, false, k, other).URL, "RS256", "ES256"))
	claims := issuertest.Claims(iss, aud, "7", nil)
	payload := func(k issuertest.Key, header string) string { return k.SignJSON(t, header, text(t, claims)) }
	n, _ := k.JWK()["n"].(string)
	if _, err := verify(s, k.Sign(t, claims)); err != nil {
		t.Fatal(err)
	}
	public := issuertest.Key{Algorithm: "HS256", Signing: []byte(n)}
	pss := issuertest.Key{Algorithm: "PS256", Signing: k.Signing}
	for name, bearer := range map[string]string{
		"alg none":                      strings.TrimSuffix(payload(issuertest.Key{Algorithm: "HS256", Signing: []byte("x")}, `{"alg":"none","kid":"k1"}`), "x"),
		"an HMAC with the modulus":      payload(public, `{"alg":"HS256","kid":"k1"}`),
		"that under RS256":              payload(public, `{"alg":"RS256","kid":"k1"}`),
		"PS256 with a key for RS256":    payload(pss, `{"alg":"PS256","kid":"k1"}`),
		"PS256 called RS256":            payload(pss, `{"alg":"RS256","kid":"k1"}`),
		"the key of a stranger":         stranger.Sign(t, claims),
		"with it in jwk":                payload(stranger, `{"alg":"RS256","kid":"k1","jwk":`+text(t, stranger.JWK())+`}`),
		"with it at jku":                payload(stranger, `{"alg":"RS256","kid":"k1","jku":"http://127.0.0.1:1/jwks.json","x5u":"http://127.0.0.1:1/"}`),
		"the kid of another key":        payload(k, `{"alg":"RS256","kid":"k2"}`),
		"a path as kid":                 payload(k, `{"alg":"RS256","kid":"../../dev/null"}`),
		"SQL as kid":                    payload(k, `{"alg":"RS256","kid":"k1' OR '1'='1"}`),
		"a kid that is too long":        payload(k, `{"alg":"RS256","kid":"`+strings.Repeat("k", 300)+`"}`),
		"a kid that is a number":        payload(k, `{"alg":"RS256","kid":1}`),
		"two kids":                      payload(k, `{"alg":"RS256","kid":"x","kid":"k1"}`),
		"two algs, one escaped":         payload(k, `{"alg":"RS256","\u0061lg":"none","kid":"k1"}`),
		"crit":                          payload(k, `{"alg":"RS256","kid":"k1","crit":["exp"]}`),
		"b64":                           payload(k, `{"alg":"RS256","kid":"k1","b64":false}`),
		"a logout token":                payload(k, `{"alg":"RS256","kid":"k1","typ":"logout+jwt"}`),
		"a proof":                       payload(k, `{"alg":"RS256","kid":"k1","typ":"dpop+jwt"}`),
		"a header that is a list":       payload(k, `["RS256"]`),
		"no alg":                        payload(k, `{"kid":"k1"}`),
		"another case of alg":           payload(k, `{"alg":"rs256","kid":"k1"}`),
		"padding":                       k.Sign(t, claims) + "=",
		"four parts":                    k.Sign(t, claims) + ".x",
		"a signature that is not there": strings.Join(strings.Split(k.Sign(t, claims), ".")[:2], ".") + ".",
		"too long":                      k.Sign(t, issuertest.Claims(iss, aud, "7", map[string]any{"pad": strings.Repeat("x", 8<<10)})),
	} {
		if c, err := verify(s, bearer); !errors.Is(err, token.ErrInvalid) && !errors.Is(err, token.ErrMalformed) {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
	for name, bearer := range map[string]string{
		"no kid":           payload(k, `{"alg":"RS256"}`),
		"at+jwt":           payload(k, `{"alg":"RS256","kid":"k1","typ":"application/AT+JWT"}`),
		"a kid of its own": payload(other, `{"alg":"ES256","kid":"k2","x5t":"abc"}`),
	} {
		if _, err := verify(s, bearer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestClaimsSayWhoAndForWhom has tokens that the issuer itself signed.
func TestClaimsSayWhoAndForWhom(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "k", "EdDSA")
	s := newSet(t, config(issuertest.NewServer(t, false, k).URL, "EdDSA"))
	now := time.Now().Unix()
	for _, row := range []struct {
		changes map[string]any
		want    error
	}{
		{nil, nil},
		{map[string]any{"aud": []string{"other", aud}}, nil},
		{map[string]any{"iat": nil, "nbf": now + 3}, nil},
		{map[string]any{"exp": now - 3}, nil},
		{map[string]any{"exp": float64(now) + 60.5, "sub": 42}, nil},
		{map[string]any{"sub": "auth0|507f1f77bcf86cd799439011"}, nil},
		{map[string]any{"typ": "Bearer", "token_use": "access", "type": "admin"}, nil},
		{map[string]any{"tokenType": "access-token", "type": "normal-user", "kind": 1}, nil},
		{map[string]any{"type": "verified_admin", "kind": "invited", "purpose": "hotpot", "use": "identity"}, nil},
		{map[string]any{"type": "id_card", "events": nil, "nonce": "n-0S6_WzA2Mj"}, nil},
		{map[string]any{"iss": iss + "/"}, token.ErrInvalid},
		{map[string]any{"iss": strings.ToUpper(iss)}, token.ErrInvalid},
		{map[string]any{"iss": []string{iss}}, token.ErrInvalid},
		{map[string]any{"iss": nil}, token.ErrInvalid},
		{map[string]any{"iss": "wxgate"}, token.ErrInvalid},
		{map[string]any{"aud": "other"}, token.ErrInvalid},
		{map[string]any{"aud": nil}, token.ErrInvalid},
		{map[string]any{"aud": []string{}}, token.ErrInvalid},
		{map[string]any{"aud": []any{aud, 7}}, token.ErrInvalid},
		{map[string]any{"aud": map[string]any{aud: true}}, token.ErrInvalid},
		{map[string]any{"exp": nil}, token.ErrInvalid},
		{map[string]any{"exp": "soon"}, token.ErrInvalid},
		{map[string]any{"exp": -1}, token.ErrInvalid},
		{map[string]any{"exp": now - 60}, token.ErrExpired},
		{map[string]any{"exp": (now + 60) * 1000 * 1e9}, token.ErrInvalid},
		{map[string]any{"iat": now + 60}, token.ErrInvalid},
		{map[string]any{"nbf": now + 60}, token.ErrInvalid},
		{map[string]any{"sub": nil}, token.ErrInvalid},
		{map[string]any{"sub": ""}, token.ErrInvalid},
		{map[string]any{"sub": "a b"}, token.ErrInvalid},
		{map[string]any{"sub": "a\r\nX-User-Id: 1"}, token.ErrInvalid},
		{map[string]any{"sub": "管理员"}, token.ErrInvalid},
		{map[string]any{"sub": strings.Repeat("x", 256)}, token.ErrInvalid},
		{map[string]any{"sub": []string{"x"}}, token.ErrInvalid},
		{map[string]any{"sub": map[string]any{"id": 1}}, token.ErrInvalid},
		{map[string]any{"sub": 1.5}, token.ErrInvalid},
		{map[string]any{"name": strings.Repeat("管", 500)}, token.ErrInvalid},
		{map[string]any{"name": map[string]any{}}, token.ErrInvalid},
		{map[string]any{"realm_access": map[string]any{"roles": []string{"a,admin"}}}, token.ErrInvalid},
		{map[string]any{"typ": "Refresh"}, token.ErrInvalid},
		{map[string]any{"typ": "ID"}, token.ErrInvalid},
		{map[string]any{"tokenType": "refresh-token"}, token.ErrInvalid},
		{map[string]any{"type": "reset_password"}, token.ErrInvalid},
		{map[string]any{"purpose": "resetPassword"}, token.ErrInvalid},
		{map[string]any{"token_type": "refreshToken"}, token.ErrInvalid},
		{map[string]any{"token_type": "REFRESHTOKEN"}, token.ErrInvalid},
		{map[string]any{"type": "id_token"}, token.ErrInvalid},
		{map[string]any{"type": "IDToken"}, token.ErrInvalid},
		{map[string]any{"kind": "email-verification"}, token.ErrInvalid},
		{map[string]any{"kind": "login.2FA"}, token.ErrInvalid},
		{map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, token.ErrInvalid},
		{map[string]any{"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng", "nonce": "n"}, token.ErrInvalid},
		{map[string]any{"c_hash": "LDktKdoQak3Pk0cnXxCltA"}, token.ErrInvalid},
	} {
		if c, err := verify(s, k.Sign(t, issuertest.Claims(iss, aud, "7", row.changes))); row.want == nil && err != nil || !errors.Is(err, row.want) && !(errors.Is(row.want, token.ErrInvalid) && errors.Is(err, token.ErrMalformed)) {
			t.Errorf("%.80v: got %+v, %v; want %v", row.changes, c, err, row.want)
		}
	}
	for _, payload := range []string{
		`{"sub":"1","sub":"2","iss":"` + iss + `","aud":"` + aud + `","exp":9999999999}`,
		`{"sub":"1","\u0073ub":"2","iss":"` + iss + `","aud":"` + aud + `","exp":9999999999}`,
		`["` + iss + `"]`, `null`, `"text"`, "{\"sub\":\"\xff\",\"iss\":\"" + iss + `","aud":"` + aud + `","exp":9999999999}`,
	} {
		if c, err := verify(s, k.SignJSON(t, `{"alg":"EdDSA","kid":"k"}`, payload)); !errors.Is(err, token.ErrMalformed) && !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%q: got %+v, %v", payload, c, err)
		}
	}
}

func text(t *testing.T, value map[string]any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
