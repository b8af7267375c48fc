package token

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func FuzzToken(f *testing.F) {
	ring, err := NewKeyring(Config{Algorithm: "HS256", Keys: []KeyConfig{{ID: "main", Secret: "main0123456789abcdefghijklmnopqrstuvwxyz"}}, AcceptImported: true})
	if err != nil {
		f.Fatal(err)
	}
	good, err := ring.Sign(&Claims{Issuer: "wxgate", Store: "s", UserID: 1, AppID: "wx", OpenID: "o1", SessionID: "AAAAAAAAAAAAAAAAAAAAAA", TokenID: "BBBBBBBBBBBBBBBBBBBBBA", IssuedAt: 1, ExpiresAt: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good + "=")
	f.Add("a.b.c")
	f.Add(segment(`{"alg":"none"}`) + "." + segment(`{"sub":1}`) + ".")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := ring.Parse(token); err == nil && token != good {
			t.Errorf("a token that we never made passes: %q", token)
		}
	})
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"wxgate","sub":1,"exp":2}`))
	f.Add([]byte(`{"sub":"1","a":{"b":[1,"}"]},"exp":2}`))
	f.Add([]byte(`{"\u0073ub":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var payload Payload
		var claims Claims
		if json.Unmarshal(data, &payload) != nil || claims.read(payload.json) != nil {
			return
		}
		if claims.UserID < 0 || claims.UserID > maxUserID || claims.ExpiresAt < 0 {
			t.Errorf("%q was read as %+v", data, claims)
		}
	})
}
