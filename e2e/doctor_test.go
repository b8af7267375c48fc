package e2e

import (
	"strings"
	"testing"

	"wxgate/authn/issuer/issuertest"
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
