package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/authn/issuer/issuertest"
	"wxgate/authn/token"
)

const adminIss = "https://auth.example.com/realms/admin"

// adminSecrets are those of issuers that sign with a secret.
func adminSecrets() map[string]string {
	const text = "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA"
	return map[string]string{"HS256": text, "HS384": text + text[:16], "HS512": text + text}
}

// issuersYAML is authn.issuers with keys at an address, and one issuer for each secret; their routes are /admin, /HS256, …
func issuersYAML(jwks string) string {
	yaml := fmt.Sprintf("  - { path: /admin/**, upstream: recipes, strip_prefix: /admin, issuer: admin }\n"+
		"%%sauthn:\n  issuers:\n    - name: admin\n      iss: %s\n      jwks: %s\n      algorithms: [%s]\n      aud: admin-api\n      headers: { X-Admin-Id: sub }\n",
		adminIss, jwks, strings.Join(token.PublicAlgorithms(), ", "))
	routes := ""
	for algorithm, secret := range adminSecrets() {
		routes += fmt.Sprintf("  - { path: /%s/**, upstream: recipes, strip_prefix: /%s, issuer: %s }\n", algorithm, algorithm, algorithm)
		yaml += fmt.Sprintf("    - { name: %s, secret: %s, algorithms: [%s], subject: id, headers: { X-%s-Id: id } }\n", algorithm, secret, algorithm, algorithm)
	}
	return fmt.Sprintf(yaml, routes)
}

// serveTrusting starts the gateway with one more authority that its TLS believes.
func (w *world) serveTrusting(server *issuertest.Server) {
	w.t.Helper()
	file := filepath.Join(w.dir, "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Env = []string{"SSL_CERT_FILE=" + file}
	w.process = startCommand(w.t, cmd)
	w.process.waitServing(w.t)
}

// seen answers with the headers of identity that a service gets.
func seen(rw http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"X-User-Id", "X-Admin-Id", "X-HS256-Id", "X-HS384-Id", "X-HS512-Id"} {
		for _, value := range r.Header.Values(name) {
			_, _ = fmt.Fprintf(rw, "%s=%s;", name, value)
		}
	}
}

// TestAWebAdminHasTokensOfItsOwn has an administrator for each algorithm, with keys from an HTTPS server or a secret.
func TestAWebAdminHasTokensOfItsOwn(t *testing.T) {
	t.Parallel()
	keys := map[string]issuertest.Key{}
	var all []issuertest.Key
	for _, algorithm := range token.PublicAlgorithms() {
		keys[algorithm] = issuertest.NewKey(t, "of-"+algorithm, algorithm)
		all = append(all, keys[algorithm])
	}
	server := issuertest.NewServer(t, true, all...)
	w := newWorld(t)
	w.service.Config.Handler = http.HandlerFunc(seen)
	w.writeConfig(issuersYAML(server.URL + "/jwks.json"))
	w.serveTrusting(server)
	user := w.login("alice")
	forged := []string{"X-Admin-Id", "forged", "X_Admin_Id", "forged", "X-User-Id", "forged", "X-HS256-Id", "forged"}
	var tokens []string
	wants := func(what string, got answer, body string) {
		t.Helper()
		if got.status != 200 || got.body != body {
			t.Errorf("%s: %d %s, want %s", what, got.status, got.body, body)
		}
	}
	for algorithm, k := range keys {
		admin := k.Sign(t, issuertest.Claims(adminIss, "admin-api", "root-"+algorithm, nil))
		wants(algorithm, w.call("GET", "/admin/x", admin, "", forged...), "X-Admin-Id=root-"+algorithm+";")
		w.want(algorithm+" on a user's route", w.call("GET", "/api/v1/recipes", admin, "", forged...), http.StatusUnauthorized, "token_invalid")
		w.want(algorithm+" with a secret's issuer", w.call("GET", "/HS256/x", admin, "", forged...), http.StatusUnauthorized, "token_invalid")
		w.want(algorithm+" forged", w.call("GET", "/admin/x", admin[:len(admin)-8]+"AAAAAAAA", ""), http.StatusUnauthorized, "token_invalid")
		tokens = append(tokens, admin)
	}
	for algorithm, secret := range adminSecrets() {
		k := issuertest.Key{Algorithm: algorithm, Signing: []byte(secret)}
		admin := k.Sign(t, map[string]any{"id": 7, "username": "admin", "exp": time.Now().Add(time.Hour).Unix()})
		wants(algorithm, w.call("GET", "/"+algorithm+"/x", admin, "", forged...), "X-"+algorithm+"-Id=7;")
		w.want(algorithm+" on the other admin's route", w.call("GET", "/admin/x", admin, "", forged...), http.StatusUnauthorized, "token_invalid")
		tokens = append(tokens, admin)
	}
	wants("a user", w.call("GET", "/api/v1/recipes", user, "", forged...), "X-User-Id=1;")
	w.want("a user on the admin's route", w.call("GET", "/admin/x", user, "", forged...), http.StatusUnauthorized, "token_invalid")
	w.want("nobody", w.call("GET", "/admin/x", "", "", forged...), http.StatusUnauthorized, "token_missing")
	// Keys were fetched at the start and once, not ten times, for signatures that no known key fits.
	for series, want := range map[string]string{`keys{issuer="admin"}`: "10", `fetches_total{issuer="admin",result="ok"}`: "2", `verifications_total{issuer="HS384",result="ok"}`: "1"} {
		if got := w.gauge("wxgate_issuer_" + series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	log := w.output.String()
	for _, secret := range append(tokens, adminSecrets()["HS256"]) {
		if strings.Contains(log, secret) {
			t.Error("a token or a secret is in the log")
		}
	}
	if !strings.Contains(log, `"issuer":"admin"`) {
		t.Error("the log does not name the issuer")
	}
	hs := issuertest.Key{Algorithm: "HS256", Signing: []byte(adminSecrets()["HS256"])}
	w.explainsIssuers(hs.Sign(t, map[string]any{"id": 7, "exp": time.Now().Add(time.Hour).Unix()}))
}

// explainsIssuers looks at the commands that show issuers; hs is a token with a secret.
func (w *world) explainsIssuers(hs string) {
	w.t.Helper()
	for _, row := range []struct {
		args string
		want []string
	}{
		{"check", []string{"note: issuer admin, for 1 route: " + adminIss + " (RS256, RS384", "note: issuer HS256, for 1 route: without iss (HS256, a secret)"}},
		{"routes", []string{"required admin", "required HS512"}},
		{"explain GET /admin/x", []string{"issuer", "admin: " + adminIss, "sets for admin", "X-Admin-Id: <sub>"}},
		{"explain GET /HS256/x --token " + hs, []string{"matches the secret of issuer HS256", "X-HS256-Id: <id>"}},
		{"explain GET /admin/x --token " + hs, []string{"401 token_invalid", "alg is not one of"}},
		{"explain GET /api/v1/recipes --token " + hs, []string{"401 token_invalid"}},
	} {
		text, _ := w.command(append([]string{"-c", w.config}, strings.Fields(row.args)...)...)
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				w.t.Errorf("%s: want %q in\n%s", strings.Fields(row.args)[0], want, text)
			}
		}
	}
}

// TestKeysOfAnIssuerComeAndGoWhileRequestsAreServed starts without them, rotates them, loses their source and ends with a
// reload that removes the issuer.
func TestKeysOfAnIssuerComeAndGoWhileRequestsAreServed(t *testing.T) {
	t.Parallel()
	first, second := issuertest.NewKey(t, "1", "RS256"), issuertest.NewKey(t, "2", "ES384")
	server := issuertest.NewServer(t, false, first)
	server.Answer(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	w := newWorld(t)
	w.service.Config.Handler = http.HandlerFunc(seen)
	w.writeConfig(issuersYAML(server.URL))
	w.serve()
	admin, next := first.Sign(t, issuertest.Claims(adminIss, "admin-api", "one", nil)), second.Sign(t, issuertest.Claims(adminIss, "admin-api", "two", nil))
	w.want("before its keys are known", w.call("GET", "/admin/x", admin, ""), http.StatusServiceUnavailable, "issuer_unavailable")
	user := w.login("alice")
	w.want("a user meanwhile", w.call("GET", "/api/v1/recipes", user, ""), http.StatusOK, "")
	server.Publish(t, first)
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/admin/x", admin, "").status == http.StatusOK })
	server.Publish(t, second, first)
	eventually(t, 90*time.Second, func() bool { return w.call("GET", "/admin/x", next, "").status == http.StatusOK })
	server.Close()
	w.want("without its source", w.call("GET", "/admin/x", admin, ""), http.StatusOK, "")
	w.want("without its source", w.call("GET", "/admin/x", next, ""), http.StatusOK, "")
	w.writeConfig("  - { path: /admin/**, upstream: recipes }\n")
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/admin/x", user, "").status == http.StatusOK })
	w.want("an administrator then", w.call("GET", "/admin/x", admin, ""), http.StatusUnauthorized, "token_invalid")
}
