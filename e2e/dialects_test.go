package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dialect is how a client shows its token.
type dialect struct {
	name    string
	path    string   // of a protected route, with %s for the token
	headers []string // name and value, with %s for the token
	fetched bool     // GET only
}

// dialects are those of public clients that were put in front of the gateway unchanged.
func dialects() []dialect {
	return []dialect{
		{"Bearer", "/api/v1/recipes", []string{"Authorization", "Bearer %s"}, false},
		{"a JWT in Authorization", "/api/v1/recipes", []string{"Authorization", "%s"}, false},
		{"the header token", "/api/v1/recipes", []string{"token", "%s"}, false},
		{"a header of a shop", "/api/v1/recipes", []string{"X-Litemall-Token", "%s"}, false},
		{"wafer", "/api/v1/recipes", []string{"X-WX-Skey", "%s"}, false},
		{"a cookie of a page", "/api/v1/recipes", []string{"Cookie", "lang=zh; token=%s", "Sec-Fetch-Site", "same-origin"}, false},
		{"the query", "/media/whoami?token=%s", nil, true},
	}
}

// fill puts a token into the headers of a dialect.
func (d dialect) fill(token string) (path string, headers []string) {
	for _, h := range d.headers {
		headers = append(headers, strings.ReplaceAll(h, "%s", token))
	}
	return strings.ReplaceAll(d.path, "%s", token), headers
}

// TestAClientOfEachDialectChangesNothing logs each in, lets it call, refuses it, refreshes and logs it out. Its token is in
// no line of the log, and explain says where it stands.
func TestAClientOfEachDialectChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.writeConfig("  - { path: /media/**, upstream: recipes, strip_prefix: /media, token_query: token }\n" +
		"authn: { token_from: [Authorization, token, X-Litemall-Token, X-WX-Skey, \"cookie:token\"] }\n")
	w.serve()
	var tokens []string
	for i, d := range dialects() {
		token := w.login(fmt.Sprintf("person-%d", i))
		tokens = append(tokens, token)
		path, headers := d.fill(token)
		w.want(d.name+": a call", w.call("GET", path, "", "", headers...), http.StatusOK, "")
		none, empty := d.fill("")
		w.want(d.name+": a guest", w.call("GET", none, "", "", empty...), http.StatusUnauthorized, "token_missing")
		bad, wrong := d.fill(token[:len(token)-4] + "AAAA")
		w.want(d.name+": a forged token", w.call("GET", bad, "", "", wrong...), http.StatusUnauthorized, "token_invalid")
		if d.fetched {
			w.want(d.name+": a POST", w.call("POST", path, "", "{}"), http.StatusUnauthorized, "token_missing")
			continue
		}
		w.want(d.name+": a refresh", w.call("POST", "/api/v1/auth/refresh", "", "", headers...), http.StatusOK, "")
		w.want(d.name+": the logout", w.call("POST", "/api/v1/auth/logout", "", "", headers...), http.StatusOK, "")
		w.want(d.name+": after it", w.call("GET", path, "", "", headers...), http.StatusUnauthorized, "token_revoked")
	}
	w.want("two people", w.call("GET", "/api/v1/recipes", tokens[0], "", "token", tokens[1]), http.StatusUnauthorized, "token_malformed")
	if log := w.output.String(); slices.ContainsFunc(tokens, func(token string) bool { return strings.Contains(log, token) }) {
		t.Error("a token is in the log")
	}
}

// TestWhereTokensStandIsReloaded changes the list while the gateway runs.
func TestWhereTokensStandIsReloaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	w.want("before", w.call("GET", "/api/v1/recipes", "", "", "X-Token", token), http.StatusUnauthorized, "token_missing")
	w.writeConfig("authn: { token_from: [X-Token] }\n")
	eventually(t, 60*time.Second, func() bool {
		return w.call("GET", "/api/v1/recipes", "", "", "X-Token", token).status == http.StatusOK
	})
	w.want("elsewhere", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, "token_missing")
}
