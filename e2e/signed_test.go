package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxgate/examples/recipes"
)

// TestAServiceVerifiesTheSignedIdentity lets the recipe service check the gateway's signatures with the published keys.
func TestAServiceVerifiesTheSignedIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var verifying http.Handler
	w.service.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { verifying.ServeHTTP(rw, r) })
	w.writeConfig("identity: { signed: { header: X-Identity } }\n")
	w.serve()
	verifying = recipes.Verify(recipes.Signed{Header: "X-Identity", Audience: "recipes", JWKS: w.url + "/.well-known/jwks.json"}, recipes.New())
	token := w.login("alice")
	w.want("through the gateway", w.call("GET", "/api/v1/recipes", token, "", "X-Identity", "forged"), http.StatusOK, "")
	w.want("as nobody", w.call("GET", "/whoami", "", "", "X-Identity", "forged"), http.StatusOK, "")
	for name, identity := range map[string]string{"no proof": "", "a forged proof": "a.b.c", "an access token": token} {
		req := httptest.NewRequest(http.MethodGet, "/api/v1/recipes", nil)
		req.Header.Set("X-User-Id", "1")
		req.Header.Set("X-Identity", identity)
		direct := httptest.NewRecorder()
		verifying.ServeHTTP(direct, req)
		if direct.Code != http.StatusUnauthorized {
			t.Errorf("%s past the gateway: %d, want 401", name, direct.Code)
		}
	}
	if jwks := w.call("GET", "/.well-known/jwks.json", "", ""); !strings.Contains(jwks.body, `"kid":"main.identity"`) || strings.Contains(jwks.body, jwtSecret) {
		t.Errorf("the JWKS is %s", jwks.body)
	}
}
