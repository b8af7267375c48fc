package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxgate/authn/issuer/issuertest"
	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/certificate/certificatetest"
	"wxgate/storage/badger/disk"
	"wxgate/upstream/upstreamtest"
)

// TestTheDoctorSaysWhatIsIll lets the doctor look at a healthy world and at one with a wrong secret and no service.
func TestTheDoctorSaysWhatIsIll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, code := w.command("doctor", "-c", w.config)
	if code != 0 || strings.Contains(got, "FAIL") || !strings.Contains(got, "ok    WeChat "+appID) {
		t.Errorf("a healthy world: exit %d\n%s", code, got)
	}
	if !strings.Contains(got, "ok    clients") || !strings.Contains(got, "count as one, which may hold a quarter of the whole") {
		t.Errorf("want a line on how clients are told apart:\n%s", got)
	}
	w.rewrite("server: {", `server: { trusted_proxies: ["10.0.0.1"], `)
	if got, _ = w.command("doctor", "-c", w.config); !strings.Contains(got, "server.trusted_proxies say which") {
		t.Errorf("behind a trusted proxy:\n%s", got)
	}
	undraining := upstreamtest.NewUndraining(t)
	w.rewrite(w.service.URL, undraining.URL)
	got, code = w.command("doctor", "-c", w.config)
	for _, line := range []string{"FAIL  content recipes", "set upstreams.recipes.keepalive.reuse_after_body: false"} {
		if code != 1 || !strings.Contains(got, line) {
			t.Errorf("a service that does not read content: exit %d, want a line with %q:\n%s", code, line, got)
		}
	}
	w.rewrite(undraining.URL, w.service.URL)
	w.service.Close()
	w.writeConfig("") // the port is taken by nobody now
	w.rewrite("wechat: {", `wechat: { secret: "wrong-secret", `)
	got, code = w.command("doctor", "-c", w.config)
	for _, line := range []string{"FAIL  WeChat " + appID, "40125", "copy appid and secret again", "FAIL  upstream recipes", "start the service"} {
		if code != 1 || !strings.Contains(got, line) {
			t.Errorf("exit %d, want a line with %q:\n%s", code, line, got)
		}
	}
	if strings.Contains(got, "wrong-secret") {
		t.Errorf("the doctor tells the secret:\n%s", got)
	}
}

// TestTheDoctorTriesWhatWeChatWillDo with a gateway that serves a domain, message push and virtual payment: all of its lines are right
// but that of the domain, which is of this machine; then the Token differs from that of the running gateway, and WeChat has
// another AppKey and does not have our address.
func TestTheDoctorTriesWhatWeChatWillDo(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.issue(certificatetest.Leaf{Names: []string{"localhost"}, Deep: true})
	w.rewrite("wechat: {", fmt.Sprintf("wechat: { push: { token: %s, aes_key: %s, upstream: recipes }, virtual_payment: { offer_id: '1', app_key: %s, sandbox_app_key: %s, upstream: recipes, path: /sign },",
		pushToken, pushKey, appKey, sandboxAppKey))
	w.serveSecurely()
	roots := filepath.Join(w.dir, "roots.pem")
	if err := os.WriteFile(roots, w.authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(w.address())
	if err != nil {
		t.Fatal(err)
	}
	diagnose := func(what string, failures int, lines ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, "doctor", "-c", w.config, "--domain", "localhost:"+port)
		cmd.Env = []string{"WX_APPID=" + appID, "WX_SECRET=" + appSecret, "JWT_SECRET=" + jwtSecret, "SSL_CERT_FILE=" + roots}
		text, _ := cmd.CombinedOutput() // the last line says it
		got := regexp.MustCompile(" {2,}").ReplaceAllString(string(text), " ")
		keepsSecrets(t, "wxgate doctor", got)
		if n := strings.Count(got, "\nFAIL "); n != failures {
			t.Errorf("%s: got %d failures, want %d:\n%s", what, n, failures, got)
		}
		for _, line := range lines {
			if !strings.Contains(got, line) {
				t.Errorf("%s: want a line with %q:\n%s", what, line, got)
			}
		}
	}
	diagnose("all is right", 1,
		"ok access_token "+appID+" WeChat gives it to this machine",
		"ok push network "+appID+" for WeChat the domain of its URL is 127.0.0.1 (UNICOM)",
		"ok app_key "+appID+" WeChat takes its signature in production (env 0)",
		"ok sandbox_app_key "+appID+" WeChat takes its signature in the sandbox",
		"ok timeouts of requests server.timeouts.request is 1m0s",
		"ok push "+appID+" https://localhost:"+port+"/wechat/push answers as WeChat wants, and refuses a wrong signature",
		"ok TLS of localhost:"+port+" TLS 1.3, h2, the chain ends in wxgate test root",
		"FAIL domain localhost:"+port+" only a phone in your developer tools calls it")
	served := w.config
	w.config = w.saveConfig("other.yaml")
	w.rewrite("token: "+pushToken, "token: of-another-page")
	w.rewrite("app_key: "+appKey, "app_key: of-another-page")
	diagnose("other secrets", 3, "FAIL push "+appID+" a right signature is refused (400)", "FAIL app_key "+appID+" wechat xpay/query_order: errcode 268490003")
	w.config = served
	if err := w.weChat.Fail(sandbox.Failure{API: "stable_token", Kinds: []string{"40164"}}); err != nil {
		t.Fatal(err)
	}
	diagnose("another address", 5, "FAIL access_token "+appID+" wechat stable_token: errcode 40164", "add 203.0.113.7, which is this machine to WeChat, to the IP whitelist")
}

// TestTheDoctorAsksForTheKeysOfIssuers finds one whose keys are usable, and one that does not answer.
func TestTheDoctorAsksForTheKeysOfIssuers(t *testing.T) {
	t.Parallel()
	k, other := issuertest.NewKey(t, "1", "EdDSA"), issuertest.NewKey(t, "2", "RS256")
	server := issuertest.NewServer(t, false, k, other)
	w := newWorld(t)
	w.writeConfig(strings.Replace(issuersYAML(server.URL), "RS256, ", "", 1))
	got, code := w.command("doctor", "-c", w.config)
	if code != 0 || !strings.Contains(got, "ok    issuer admin") || !strings.Contains(got, "has 1 key for "+adminIss) || !strings.Contains(got, "ignored: keys[1] is for none of") || strings.Contains(got, adminSecrets()["HS256"]) {
		t.Errorf("exit %d\n%s", code, got)
	}
	server.Close()
	if got, code = w.command("doctor", "-c", w.config); code != 1 || !strings.Contains(got, "FAIL  issuer admin") || !strings.Contains(got, "let this machine reach "+server.URL) {
		t.Errorf("without the source: exit %d\n%s", code, got)
	}
}

// diagnosed runs the doctor, and wants lines with these texts and an exit code.
func (w *world) diagnosed(what string, exit int, texts ...string) {
	w.t.Helper()
	got, code := w.command("doctor", "-c", w.config)
	for _, text := range texts {
		if code != exit || !strings.Contains(got, text) {
			w.t.Errorf("%s: exit %d, want %d and a line with %q:\n%s", what, code, exit, text, got)
		}
	}
	if strings.Contains(got, databasePassword) {
		w.t.Errorf("%s: the doctor tells the password:\n%s", what, got)
	}
}

// TestTheDoctorLooksAtADatabase beside the gateway on it, for one that is about to start with other keys.
func TestTheDoctorLooksAtADatabase(t *testing.T) {
	t.Parallel()
	server, dsn := newDatabase(t)
	w := newWorld(t)
	w.onDatabase(dsn)
	w.diagnosed("an empty database", 0, "schema 0 of ")
	w.serve()
	w.login("alice")
	got, code := w.command("doctor", "-c", w.config)
	if found := regexp.MustCompile(`schema (\d+) of (\d+)`).FindStringSubmatch(got); code != 0 || found == nil || found[1] != found[2] {
		t.Errorf("beside the gateway: exit %d, want the schema to be the newest:\n%s", code, got)
	}
	served := w.config
	w.config = w.saveConfig("other.yaml")
	w.rewrite("storage:", `authn: { keys: [ { id: other, secret: "0123456789abcdef0123456789abcdef" } ] }`+"\nstorage:")
	w.diagnosed("with another key for tokens", 1, "FAIL  storage", "would refuse our tokens", "give every gateway the same keys")
	w.config = served
	w.config = w.saveConfig("other.yaml")
	w.rewrite(storageKey, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	w.diagnosed("with another encryption key", 1, "FAIL  storage", "is not the one that the data were sealed with")
	w.config = served
	if _, err := server.DB.ExecContext(t.Context(), "UPDATE wxgate.wxgate_users SET appid = 'wx0000000000000000' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	w.diagnosed("with users of another mini-program", 0, "ok    storage", "there are users of wx0000000000000000, which is none of the appids")
	w.stop(t)
	w.serve()
	if said := w.output.String(); !strings.Contains(said, "there are users of mini-programs that the section wechat does not have") {
		t.Errorf("the start says\n%s", said)
	}
}

// TestFoldersThatAreNoPlaceForDataAreNamed by check, by the doctor, and by a start.
func TestFoldersThatAreNoPlaceForDataAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := fmt.Sprintf("dir: %q, accept_ephemeral: true", filepath.Join(w.dir, "data"))
	checked := func(what string, exit int, text string) {
		t.Helper()
		if got, code := w.command("check", "-c", w.config); code != exit || !strings.Contains(got, text) {
			t.Errorf("%s: exit %d, want %d and %q:\n%s", what, code, exit, text, got)
		}
	}
	within := fmt.Sprintf("storage: { backup: { every: 24h, dir: %q }, ", filepath.Join(w.dir, "data", "backups"))
	w.rewrite("storage: { ", within)
	checked("backups beside their key", 1, "storage.backup.dir: is in storage.badger.dir, beside the data and their key")
	w.rewrite(within, "storage: { backup: { dir: /backup }, ")
	checked("backups that nobody makes", 0, "warning: "+w.config+":4:22: storage.backup.dir: no backup is made without backup.every, such as every: 24h [backup-never]")
	w.diagnosed("backups that nobody makes", 1, "FAIL  storage settings", "no backup is made without backup.every")
	w.rewrite("backup: { dir: /backup }", "backup: { every: 24h, dir: /proc/backups }")
	checked("backups where nothing can be written", 0, "set storage.backup.dir to a folder that the user of wxgate may write to")
	w.diagnosed("backups where nothing can be written", 1, "FAIL  backup /proc/backups", "may write to")
	w.rewrite("backup: { every: 24h, dir: /proc/backups }, ", "")
	w.rewrite(data, "dir: /proc/data")
	checked("data where nothing can be written", 0, "set storage.badger.dir to a folder that the user of wxgate may write to")
	w.diagnosed("data where nothing can be written", 1, "FAIL  storage /proc/data", "may write to")
}

// TestTheDoctorFindsAFolderThatNoGatewayWouldServe with the wrong key, and half restored.
func TestTheDoctorFindsAFolderThatNoGatewayWouldServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	w.login("alice")
	w.diagnosed("beside the gateway", 0, "ok    storage")
	w.rewrite("storage: { ", "storage: { encryption_key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, ")
	w.diagnosed("with another key", 1, "FAIL  storage", "put the old key back")
}

// TestAnOperatorIsToldWhetherAnOlderWxgateStillWorks with a folder of an earlier schema, of this one, and without one.
func TestAnOperatorIsToldWhetherAnOlderWxgateStillWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := func(want string) {
		t.Helper()
		if got, code := w.command("migrate", "status", "-c", w.config); code != 0 || !strings.Contains(got, want) {
			t.Errorf("exit %d, want %q:\n%s", code, want, got)
		}
	}
	status("has no data yet")
	w.serve()
	status("nothing waits")
	w.stop(t)
	path := filepath.Join(w.dir, "data", "STORE")
	known, err := disk.ReadSentinel(path)
	if err != nil {
		t.Fatal(err)
	}
	if known.Schema = 1; known.Write(path) != nil {
		t.Fatal("the sentinel was not written")
	}
	status("have schema 1; serve migrates them to 2 when it starts")
	status("an older wxgate cannot open them after that: stop wxgate and copy the folder first")
}
