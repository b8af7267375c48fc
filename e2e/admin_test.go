package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const adminToken = "e2e-admin-token-of-the-operator"

// operator prepares a world whose admin listener demands a token, and starts it.
func operator(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", admin_token: "`+adminToken+`"`)
	w.serve()
	return w
}

// rewrite changes the text of gateway.yaml.
func (w *world) rewrite(old, now string) {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil || !strings.Contains(string(text), old) {
		w.t.Fatalf("%v: there is no %s in\n%s", err, old, text)
	}
	if err := os.WriteFile(w.config, []byte(strings.Replace(string(text), old, now, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// wxgate runs a command as an operator does: beside the running gateway, without the secrets in the environment. Its
// gateway.yaml names the port that the system gave.
func (w *world) wxgate(stdin string, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	config := filepath.Join(w.dir, "operator.yaml")
	address := strings.TrimPrefix(w.admin, "http://")
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), `admin: "127.0.0.1:0"`, `admin: "`+address+`"`, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return run(w.t, stdin, append([]string{"-c", config}, args...)...)
}

func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = []string{quickEnd + "=" + os.Getenv(quickEnd)}
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code says it
	keepsSecrets(t, "wxgate "+strings.Join(args, " "), out.String()+errs.String())
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// does runs a command that must succeed and print each of the texts.
func (w *world) does(args []string, texts ...string) string {
	w.t.Helper()
	stdout, stderr, code := w.wxgate("", args...)
	for _, text := range append(texts, "") {
		if code != 0 || !strings.Contains(stdout, text) {
			w.t.Fatalf("wxgate %s: exit %d\n%s%s\nwant 0 and %q", strings.Join(args, " "), code, stdout, stderr, text)
		}
	}
	return stdout
}

// fails runs a command that must fail with one line on standard error that has the text.
func (w *world) fails(args []string, text string) {
	w.t.Helper()
	stdout, stderr, code := w.wxgate("", args...)
	if code != 1 || !strings.Contains(stderr, text) || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "wxgate: ") {
		w.t.Errorf("wxgate %s: exit %d\n%s%s\nwant 1 and one line with %q", strings.Join(args, " "), code, stdout, stderr, text)
	}
}

func words(line string) []string { return strings.Fields(line) }

func TestAnOperatorSeesAndBansUsers(t *testing.T) {
	t.Parallel()
	w := operator(t)
	alice, bob := w.login("alice"), w.login("bob")
	w.call("PUT", "/api/v1/user/profile", alice, `{"nickname":"小爱👩‍🍳","bio":"爱做饭\n也爱吃"}`)
	list := w.does(words("users list"), "ID", "小爱👩‍🍳", appID)
	if lines := strings.Count(list, "\n"); lines != 3 {
		t.Errorf("the list has %d lines, want a heading and two users:\n%s", lines, list)
	}
	w.does(words("users list --limit 1"), "users list --after 1")
	w.does(words("users show 1"), "爱做饭 也爱吃", "banned until  -")
	var shown struct {
		ID                       int64
		OpenID, Nickname         string
		RecipeCount              int64   `json:"recipe_count"`
		BannedUntil              *string `json:"banned_until"`
		CreatedAt, Extra, Avatar string
	}
	if err := json.Unmarshal([]byte(w.does(words("users show 1 --json"))), &shown); err != nil || shown.ID != 1 || shown.BannedUntil != nil {
		t.Errorf("--json says %+v, %v", shown, err)
	}
	w.does(words("users ban 1 --for 72h"), "banned until  20")
	w.want("a banned user's token", w.call("GET", "/api/v1/recipes", alice, ""), http.StatusUnauthorized, "token_revoked")
	login := func(person string) answer {
		return w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person)))
	}
	w.want("a banned user's login", login("alice"), http.StatusForbidden, "user_banned")
	w.want("somebody else meanwhile", w.call("GET", "/api/v1/recipes", bob, ""), http.StatusOK, "")
	w.stop(t)
	w.serve()
	w.want("a banned user's token after a restart", w.call("GET", "/api/v1/recipes", alice, ""), http.StatusUnauthorized, "token_revoked")
	w.want("a banned user's login after a restart", login("alice"), http.StatusForbidden, "user_banned")
	w.does(words("users unban 1"), "banned until  -")
	w.want("the login after the ban", login("alice"), http.StatusOK, "")
	w.does(words("users ban 1"), "banned until  for ever")
	w.stop(t)
	w.serve()
	w.want("banned for ever, after a restart", login("alice"), http.StatusForbidden, "user_banned")
	w.does(words("users unban 1"))
	w.stop(t)
	w.serve()
	w.want("a lifted ban stays lifted", login("alice"), http.StatusOK, "")
	w.fails(words("users show 99"), "404 not_found")
}

func TestAnErasedUserIsGoneAndMayComeBackAsSomebodyNew(t *testing.T) {
	t.Parallel()
	w := operator(t)
	token := w.login("alice")
	if _, stderr, code := w.wxgate("2\n", "users", "erase", "1"); code != 1 || !strings.Contains(stderr, "not erased") {
		t.Errorf("the wrong id was typed: exit %d, %s", code, stderr)
	}
	if _, stderr, code := w.wxgate("", "users", "erase", "1"); code != 1 || !strings.Contains(stderr, "\nwxgate: user 1 is not erased") {
		t.Errorf("nobody typed: exit %d, %s", code, stderr)
	}
	w.want("still there", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
	if stdout, stderr, code := w.wxgate("1\n", "users", "erase", "1"); code != 0 || !strings.Contains(stdout, "user 1 is erased") {
		t.Errorf("erasing: exit %d, %s%s", code, stdout, stderr)
	}
	for _, when := range []string{"at once", "after a restart"} {
		w.want("the profile "+when, w.call("GET", "/api/v1/user/profile", token, ""), http.StatusUnauthorized, "token_revoked")
		w.want("refresh "+when, w.call("POST", "/api/v1/auth/refresh", token, ""), http.StatusUnauthorized, "token_revoked")
		w.fails(words("users erase 1 --yes"), "404 not_found")
		w.stop(t)
		w.serve()
	}
	if id := w.userID(w.login("alice")); id != 2 {
		t.Errorf("alice comes back as user %d, want 2", id)
	}
}

func TestAnOperatorRevokesSessions(t *testing.T) {
	t.Parallel()
	w := operator(t)
	phone, tablet := w.login("alice"), w.login("alice")
	sessions := func() (ids []string) {
		var list struct{ Sessions []struct{ ID string } }
		if err := json.Unmarshal([]byte(w.does(words("sessions list 1 --json"))), &list); err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Sessions {
			ids = append(ids, s.ID)
		}
		return ids
	}
	ids := sessions()
	if len(ids) != 2 {
		t.Fatalf("alice has sessions %v, want two", ids)
	}
	w.does(words("sessions list 1"), "SESSION", ids[0], ids[1])
	w.does([]string{"sessions", "revoke", "--", ids[0]}, "has ended")
	w.want("the revoked session", w.call("GET", "/api/v1/recipes", phone, ""), http.StatusUnauthorized, "token_revoked")
	w.want("the other one", w.call("GET", "/api/v1/recipes", tablet, ""), http.StatusOK, "")
	w.stop(t)
	w.serve()
	w.want("the revoked session after a restart", w.call("GET", "/api/v1/recipes", phone, ""), http.StatusUnauthorized, "token_revoked")
	w.does(words("sessions revoke --user 1"), "1 session of user 1 ended")
	w.want("all revoked", w.call("GET", "/api/v1/recipes", tablet, ""), http.StatusUnauthorized, "token_revoked")
	if ids := sessions(); len(ids) != 0 {
		t.Errorf("left are %v", ids)
	}
	w.fails([]string{"sessions", "revoke", "--", ids[0]}, "404 not_found")
	w.fails(words("sessions revoke"), "name one session")
	w.fails(words("sessions revoke x --user 1"), "name one session")
	w.fails(words("sessions list 99"), "404 not_found")
}

func TestImportedUsersKeepTheirIDs(t *testing.T) {
	t.Parallel()
	w := operator(t)
	elsewhere := operator(t) // the same WeChat knows alice by the same openid there
	openID, _ := elsewhere.call("GET", "/api/v1/user/profile", elsewhere.login("alice"), "").data()["openid"].(string)
	file := filepath.Join(w.dir, "users.ndjson")
	if err := os.WriteFile(file, fmt.Appendf(nil, "{\"id\":41,\"openid\":%q,\"nickname\":\"小爱\",\"recipe_count\":3}\n", openID), 0o600); err != nil {
		t.Fatal(err)
	}
	w.does([]string{"users", "import", file}, "imported 1, failed 0")
	w.does([]string{"users", "import", file}, "imported 1, failed 0") // again
	token := w.login("alice")
	profile := w.call("GET", "/api/v1/user/profile", token, "")
	if profile.data()["id"] != 41.0 || profile.data()["nickname"] != "小爱" || profile.data()["recipe_count"] != 3.0 {
		t.Errorf("the profile of an imported user is %s", profile.body)
	}
	if id := w.userID(w.login("bob")); id != 42 {
		t.Errorf("the next new user is %d, want 42", id)
	}
	stdout, stderr, code := w.wxgate(`{"id":41,"openid":"other"}`, "users", "import", "-")
	if code != 1 || !strings.Contains(stdout, "line 1, user 41  conflict") || !strings.Contains(stderr, "1 line was not imported") {
		t.Errorf("a conflict: exit %d\n%s%s", code, stdout, stderr)
	}
	exported := w.does(words("users export"), `"id":41`, openID, `"id":42`)
	if strings.Count(exported, "\n") != 2 || strings.Contains(exported, "session_key") {
		t.Errorf("the export is\n%s", exported)
	}
	w.fails([]string{"users", "import", filepath.Join(w.dir, "none")}, "no such file")
}

func TestAServiceCountsAndShowsAuthors(t *testing.T) {
	t.Parallel()
	w := operator(t)
	token := w.login("alice")
	ask := func(method, path, body string, headers ...string) answer {
		w.t.Helper()
		public := w.url
		defer func() { w.url = public }()
		w.url = w.admin
		return w.call(method, path, adminToken, body, headers...)
	}
	w.want("count", ask("POST", "/api/users/1/counters", `{"recipe_count":2,"follower_count":-5}`), http.StatusOK, "")
	profile := w.call("GET", "/api/v1/user/profile", token, "").data()
	if profile["recipe_count"] != 2.0 || profile["follower_count"] != 0.0 {
		t.Errorf("the profile counts %v", profile)
	}
	authors := ask("GET", "/api/users?ids=1,7", "")
	openID, _ := profile["openid"].(string)
	if openID == "" || strings.Contains(authors.body, openID) || !strings.Contains(authors.body, `"recipe_count":2`) {
		t.Errorf("the authors are %s", authors.body)
	}
	w.want("a web page", ask("GET", "/api/users?ids=1", "", "Origin", "http://evil.example"), http.StatusForbidden, "admin_origin_denied")
	w.want("a user's token", ask("GET", "/api/users", "", "Authorization", "Bearer "+token), http.StatusUnauthorized, "admin_token_invalid")
	w.want("the public listener", w.call("GET", "/api/users/1", "", ""), http.StatusUnauthorized, "token_missing") // the service's
	if text := w.output.String(); strings.Contains(text, adminToken) || strings.Contains(text, openID) {
		t.Errorf("the log tells too much:\n%s", text)
	}
}

// TestAServiceMayDoWhatItsEntrySays, until a reload takes it away; the operator's commands go on working.
func TestAServiceMayDoWhatItsEntrySays(t *testing.T) {
	t.Parallel()
	const token = "e2e-token-of-the-recipe-service-0123456789"
	w := newWorld(t)
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", admin_token: "`+adminToken+`", services: [ { name: recipes, token: "`+token+`", may: [wechat, counters] } ]`)
	w.serve()
	w.login("alice")
	ask := func(method, path, body string) answer {
		w.t.Helper()
		public := w.url
		defer func() { w.url = public }()
		w.url = w.admin
		return w.call(method, path, token, body)
	}
	w.want("count", ask("POST", "/api/users/1/counters", `{"recipe_count":2}`), http.StatusOK, "")
	w.want("a template", ask("GET", "/api/wechat/wxaapi/newtmpl/gettemplate", ""), http.StatusOK, "")
	w.want("erase", ask("DELETE", "/api/users/1", ""), http.StatusForbidden, "service_not_allowed")
	w.want("read calls of others", ask("POST", "/api/wechat/cgi-bin/openapi/rid/get", `{"rid":"1"}`), http.StatusForbidden, "service_not_allowed")
	w.want("a user", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusUnauthorized, "token_malformed")
	w.does(words("users list"), w.weChat.OpenID("alice"))
	w.put(strings.Replace(w.text(), "may: [wechat, counters]", "may: [notify]", 1))
	w.signal(syscall.SIGHUP)
	eventually(t, 20*time.Second, func() bool { return strings.Contains(w.output.String(), `"msg":"reloaded"`) })
	w.want("count after the reload", ask("POST", "/api/users/1/counters", `{"recipe_count":2}`), http.StatusForbidden, "service_not_allowed")
	if text := w.output.String(); strings.Contains(text, token) || strings.Contains(text, adminToken) || !strings.Contains(text, `"service":"recipes"`) {
		t.Errorf("the log is\n%s", text)
	}
}

func TestACommandSaysInOneLineWhyItCannotAsk(t *testing.T) {
	t.Parallel()
	w := operator(t)
	w.rewrite(adminToken, "not-the-token-of-the-operator")
	w.fails(words("users list"), "401 admin_token_invalid")
	w.kill()
	address := strings.TrimPrefix(w.admin, "http://")
	w.fails(words("users list"), "asking "+address+": connection refused; is the gateway running?")
	w.fails(words("sessions list 1"), "is the gateway running?")
}

func TestNewKeysSignAndOldOnesAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := regexp.MustCompile(`secret: "([^"]+)"`)
	snippet, stderr, code := run(t, "", "keys", "new", "--id", "k1")
	if found := old.FindStringSubmatch(snippet); code != 0 || found == nil || len(found[1]) != 64 {
		t.Fatalf("keys new: exit %d\n%s%s", code, snippet, stderr)
	}
	for _, algorithm := range []string{"HS256", "RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		file := filepath.Join(w.dir, algorithm+".pem")
		snippet, stderr, code := run(t, "", "keys", "new", "--algorithm", algorithm, "--out", file)
		if info, err := os.Stat(file); code != 0 || err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: exit %d, %v\n%s%s", algorithm, code, err, snippet, stderr)
		}
		before, _ := os.ReadFile(file)
		if _, stderr, code = run(t, "", "keys", "new", "--algorithm", algorithm, "--out", file); code != 1 || !strings.Contains(stderr, "already exists") {
			t.Errorf("%s over a file: exit %d, %s", algorithm, code, stderr)
		}
		if after, _ := os.ReadFile(file); string(after) != string(before) {
			t.Errorf("%s: the key was overwritten", algorithm)
		}
		w.writeConfig(snippet)
		w.serve()
		token := w.login("alice")
		w.want(algorithm, w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
		w.inspects(algorithm, token)
		w.stop(t)
	}
	if _, stderr, code := run(t, "", "keys", "new", "--id", "a b"); code != 1 || !strings.Contains(stderr, "authn.keys[0].id") {
		t.Errorf("an id with a space: exit %d, %s", code, stderr)
	}
}

// inspects looks into a token with the secrets in the environment, as `wxgate check` has them.
func (w *world) inspects(algorithm, token string) {
	w.t.Helper()
	signature := token[strings.LastIndex(token, ".")+1:]
	cmd := exec.CommandContext(w.t.Context(), binary, "-c", w.config, "token", "inspect")
	cmd.Env = append(os.Environ(), "WX_APPID="+appID, "WX_SECRET="+appSecret, "JWT_SECRET="+jwtSecret)
	cmd.Stdin = strings.NewReader("Bearer " + token + "\n")
	text, err := cmd.CombinedOutput()
	for _, want := range []string{"alg", algorithm, "(in 7 days)", "matches key \"key-"} {
		if err != nil || !strings.Contains(string(text), want) {
			w.t.Errorf("token inspect: %v, want %q in\n%s", err, want, text)
		}
	}
	if strings.Contains(string(text), signature) {
		w.t.Errorf("token inspect prints the signature:\n%s", text)
	}
}

func TestATokenIsLookedIntoWithoutTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	forged := token[:len(token)-4] + "AAAA"
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		{"", []string{"-c", w.config, "token", "inspect", token}, 0, "not checked: "}, // the secrets are not in this environment
		{forged, []string{"-c", "none.yaml", "token", "inspect", "-"}, 0, "not checked: none.yaml"},
		{"nonsense", []string{"token", "inspect"}, 1, "this is not a JWT"},
		{"", []string{"token", "inspect"}, 1, "this is not a JWT"},
	} {
		stdout, stderr, code := run(t, c.stdin, c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%v: exit %d\n%s%s\nwant %d and %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
	text, code := w.command("-c", w.config, "token", "inspect", "--json", forged)
	if code != 0 || !strings.Contains(text, `"valid":false`) || !strings.Contains(text, "matches no key in ") || strings.Contains(text, "AAAA") {
		t.Errorf("a forged token: exit %d, %s", code, text)
	}
}
