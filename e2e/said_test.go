package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// misused runs a command whose line must make no sense: exit code 2 and one line with the text.
func (w *world) misused(args []string, text string) {
	w.t.Helper()
	stdout, stderr, code := w.wxgate("", args...)
	if code != 2 || !strings.Contains(stderr, text) || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "--help` helps\n") {
		w.t.Errorf("wxgate %s: exit %d\n%s%s\nwant 2, one line with %q and where help is", strings.Join(args, " "), code, stdout, stderr, text)
	}
}

func TestABanOfNoTimeIsNoBanForEver(t *testing.T) {
	t.Parallel()
	w := operator(t)
	alice := w.login("alice")
	w.misused(words("users ban 1 --for 0s"), "leave --for out for a permanent ban")
	w.misused(words("users ban 1 --for=-1h"), "leave --for out")
	w.misused(words("users ban 1 --for 7"), "7 has no unit: write 7s")
	w.misused(words("users ban 1 --for soon"), "is not a duration such as 30s, 72h or 7d")
	w.want("after refused bans", w.call("GET", "/api/v1/recipes", alice, ""), http.StatusOK, "")
	in7Days := time.Now().Add(7 * 24 * time.Hour).Format("2006-01-02")
	w.does(words("users ban 1 --for 7d"), "banned until  "+in7Days)
	w.want("for 7 days", w.call("GET", "/api/v1/recipes", alice, ""), http.StatusUnauthorized, "token_revoked")
}

// TestAnIDIsReadInOneWay: 010 was user 8.
func TestAnIDIsReadInOneWay(t *testing.T) {
	t.Parallel()
	w := operator(t)
	for range 10 {
		w.login("person" + time.Now().Format(".000000000"))
	}
	for _, id := range []string{"010", "0x8", "1_0", "+8", "0", "８", "9007199254740992", "alice"} {
		for _, command := range []string{"users ban", "users show", "users unban", "users erase --yes", "sessions list", "sessions revoke --user"} {
			w.misused(append(words(command), id), "is not a user id")
		}
	}
	w.misused(words("users list --after 0x8"), "is not a whole number")
	w.misused(words("users list --limit -1"), "--limit")
	w.does(words("users show 8"), "banned until  -")
}

func TestAUserIsFoundByOpenID(t *testing.T) {
	t.Parallel()
	w := operator(t)
	w.login("alice")
	bob := w.login("bob")
	openID, _ := w.call("GET", "/api/v1/user/profile", bob, "").data()["openid"].(string)
	var found struct{ Users []struct{ ID int64 } }
	for _, args := range [][]string{{"--openid", openID}, {"--openid", openID, "--appid", appID}} {
		text := w.does(append(words("users list --json"), args...))
		if err := json.Unmarshal([]byte(text), &found); err != nil || len(found.Users) != 1 || found.Users[0].ID != 2 {
			t.Errorf("users list %v: %s, want user 2 alone", args, text)
		}
	}
	if text := w.does(words("users list --openid oNobody --json")); !strings.Contains(text, `"users":[]`) {
		t.Errorf("of an openid that nobody has: %s", text)
	}
	w.misused(words("users list --openid oX --after 1"), "--openid is one user")
	w.misused(words("users list --appid "+appID), "--appid goes with --openid")
}

func TestHealthIsGoodBehindTheProxyProtocol(t *testing.T) {
	t.Parallel()
	for _, trusted := range []string{"127.0.0.0/8", "192.0.2.1"} {
		w := newWorld(t)
		w.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", proxy_protocol: true, trusted_proxies: [ `+trusted+` ]`)
		w.serve()
		w.rewrite(`listen: "127.0.0.1:0"`, `listen: "`+strings.TrimPrefix(w.url, "http://")+`"`)
		stdout, stderr, code := run(t, "", "-c", w.config, "health")
		if code != 0 || stdout != "ok\n" {
			t.Errorf("trusted are %s: exit %d, %s%s", trusted, code, stdout, stderr)
		}
	}
}

func TestLookingNeedsNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rewrite("routes:", `authn: { keys: [ { id: main, secret: "${JWT_SECRET}" } ] }
routes:
  - { path: /keyed/**, upstream: recipes, headers: { set: { X-Api-Key: "${RECIPES_KEY}" } } }`)
	w.rewrite("wechat: {", `wechat: { appid: "${WX_APPID}", secret: "${file:/nowhere/secret}", cloud_function_secret: "${CLOUD}", `)
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "0.0.0.0:0", admin_token: "${ADMIN_TOKEN}"`)
	for _, args := range [][]string{{"routes"}, {"explain", "GET", "/keyed/x"}, {"explain", "POST", "/api/v1/auth/cloud-login"}} {
		if stdout, stderr, code := run(t, "", append([]string{"-c", w.config}, args...)...); code != 0 {
			t.Errorf("wxgate %v: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	if _, stderr, code := run(t, "", "-c", w.config, "explain", "GET", "/api/x", "--token", "a.b.c"); code != 1 || !strings.Contains(stderr, "JWT_SECRET is not set") {
		t.Errorf("a token without its keys: exit %d, %s", code, stderr)
	}
}

func TestAQuestionWithoutItsPathIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := operator(t)
	w.misused(words("explain"), `expected "<method> <path>"`)
	w.misused(words("explain GET"), `expected "<path>"`)
	w.misused(words("explain GET api"), "a path begins with /: /api")
}

func TestACommandWithoutGatewayYAMLSaysWhatHelps(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"check"}, {"routes"}, {"users", "list"}, {"health"}, {"doctor"}} {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Dir = t.TempDir()
		const want = "wxgate: reading the configuration: open gateway.yaml: no such file or directory; -c FILE names another one, and `wxgate demo` needs none\n"
		if said, err := cmd.CombinedOutput(); err == nil || string(said) != want {
			t.Errorf("wxgate %v: %v, %q, want %q", args, err, said, want)
		}
	}
	w := operator(t)
	w.misused(words("check my.yaml"), "unexpected argument my.yaml; a configuration is named by -c my.yaml")
}

func TestAForgedTokenIs401ToExplainToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	good := w.login("alice")
	forged := good[:len(good)-6] + "AAAAAA"
	explain := func(token string, path ...string) (string, int) {
		return w.command(append([]string{"-c", w.config, "explain", "--token", token}, path...)...)
	}
	for token, reason := range map[string]string{
		forged: "token_invalid", "abc": "token_malformed",
		"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOjF9.AA": "token_invalid",
	} {
		w.want("the gateway itself", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, reason)
		for _, path := range [][]string{{"GET", "/api/x"}, {"GET", "/whoami"}, {"GET", "/api/v1/user/profile"}, {"POST", "/api/v1/auth/refresh"}} {
			if got, code := explain(token, path...); code != 1 || !strings.Contains(got, "401 "+reason) {
				t.Errorf("%v with %s: exit %d\n%s", path, token, code, got)
			}
		}
		if got, code := explain(token, "GET", "/healthz"); code != 0 {
			t.Errorf("where no token is looked at: exit %d\n%s", code, got)
		}
	}
	if got, _ := explain(forged, "GET", "/api/x"); !strings.Contains(got, "its signature matches no key in") {
		t.Errorf("a forged token is not told by its signature\n%s", got)
	}
	if got, code := explain("Bearer "+good, "GET", "/api/x"); code != 0 || !strings.Contains(got, `matches key "main"`) {
		t.Errorf("a good token: exit %d\n%s", code, got)
	}
}

func TestHelpIsWhereItIsLookedFor(t *testing.T) {
	t.Parallel()
	w := operator(t)
	for _, args := range [][]string{{"help"}, {"--help"}, {"help", "users", "ban"}, {"users", "--help"}, {"help", "serve"}} {
		if stdout, stderr, code := run(t, "", args...); code != 0 || !strings.HasPrefix(stdout, "Usage: wxgate") {
			t.Errorf("wxgate %v: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"--version"}, {"-v"}, {"version"}} {
		if stdout, stderr, code := run(t, "", args...); code != 0 || !strings.HasPrefix(stdout, "wxgate ") || strings.Count(stdout, "\n") != 1 {
			t.Errorf("wxgate %v: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	for line, want := range map[string]string{
		"nosuch": "unexpected argument nosuch; `wxgate --help` helps", "--nosuch": "unknown flag --nosuch; `wxgate --help` helps",
		"users":     "say which one: list, show, import, resync, untold, export, quotas, ban, unban, unlink, erase; `wxgate users --help` helps",
		"users ban": "`wxgate users ban --help` helps", "serve --nosuch": "`wxgate serve --help` helps", "serv": "did you mean",
	} {
		_, stderr, code := run(t, "", words(line)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("wxgate %s: exit %d, %s; want 2 and %s", line, code, stderr, want)
		}
	}
	if _, stderr, _ := run(t, "", "-c"); !strings.HasPrefix(stderr, "wxgate: --config: needs a value behind it") {
		t.Errorf("wxgate -c: %s", stderr)
	}
	w.misused(words("explain get /api/x"), "get: methods are written in capitals: GET")
	w.misused(words("explain GET api/x"), "a path begins with /: /api/x")
	got, code := w.command("-c", w.config, "explain", "GET", "https://api.example.com/api/x?y=1")
	if code != 0 || !strings.Contains(got, "Host: api.example.com") || !strings.Contains(got, "/api/x?y=1") {
		t.Errorf("explain of a URL: exit %d\n%s", code, got)
	}
}

func TestWhoWaitsForAHungGatewayIsToldSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // it accepts nobody
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "`+ln.Addr().String()+`"`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-c", w.config, "users", "list")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(said).ReadString('\n')
	if !strings.Contains(line, ln.Addr().String()+" has received the request and has not answered yet") {
		t.Errorf("it says %q", line)
	}
	cancel()
	_ = cmd.Wait()
}
