package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestARemovedKeyEndsItsTokensAtReload rotates keys while the gateway runs: SIGHUP takes them over.
func TestARemovedKeyEndsItsTokensAtReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const old, fresh = `{ id: old, secret: "old-e2e-secret-old-e2e-secret-123" }`, `{ id: new, secret: "new-e2e-secret-new-e2e-secret-456" }`
	w.writeConfig("authn: { keys: [" + old + "] }\n")
	w.serve()
	token := w.login("alice")
	w.want("before", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.reload("authn: { keys: ["+fresh+", "+old+"] }\n", `"keys":2}`)
	w.want("with both keys", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	renewed := w.login("alice")
	w.reload("authn: { keys: ["+fresh+"] }\n", `"keys":1}`)
	w.want("a cached token of the key that went", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, "token_invalid")
	w.want("a token of the new key", w.call("GET", "/api/v1/recipes", renewed, ""), http.StatusOK, "")
	w.reload("authn: { keys: [{ id: x, secret: short }] }\n", "reload refused")
	w.want("after a reload that was refused", w.call("GET", "/api/v1/recipes", renewed, ""), http.StatusOK, "")
}

// reload writes another configuration, sends SIGHUP and waits for what the log then says.
func (w *world) reload(more, said string) {
	w.t.Helper()
	w.writeConfig(more)
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), said) })
}

// TestAChangedFileIsTakenOver changes routes, upstreams and the log while a client sends requests one after the other:
// none may fail, and the new routes count without a signal.
func TestAChangedFileIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		sent := 0
		defer func() { stopped <- sent }()
		for ; ; sent++ {
			select {
			case <-stop:
				return
			default:
			}
			got, err := w.try("GET", "/api/v1/recipes", token, "")
			if err != nil || got.status != http.StatusOK {
				t.Errorf("a request during a reload: %d %v %s", got.status, err, got.body)
				return
			}
		}
	}()
	w.want("before", w.call("GET", "/other/x", token, ""), http.StatusNotFound, "no_route")
	w.exchangeConfig("  - { path: /other/**, upstream: recipes, strip_prefix: /other }\nlog: { level: warn, format: text }\n")
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/other/api/v1/recipes", token, "").status == http.StatusOK })
	logged := len(w.output.String())
	w.want("with access lines below the level", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.exchangeConfig("  - { path: /other/**, upstream: recipes, auth: sometimes }\n")
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String()[logged:], "reload refused") })
	said := w.output.String()[logged:]
	if strings.Contains(said, "msg=request") || !strings.Contains(said, "gateway.yaml:") || !strings.Contains(said, "routes[2].auth") {
		t.Errorf("after a level of warn and a faulty file the log says\n%s", said)
	}
	w.want("the routes before the fault", w.call("GET", "/other/api/v1/recipes", token, ""), http.StatusOK, "")
	w.exchangeConfig("identity: { headers: { X-User-Number: id } }\nauthn: { issuer: other }\n")
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.call("GET", "/whoami", token, "").body, "X-User-Number") })
	eventually(t, 60*time.Second, func() bool {
		said := w.output.String()
		return strings.Contains(said, "need a restart") && strings.Contains(said, "authn.issuer")
	})
	close(stop)
	if sent := <-stopped; sent == 0 {
		t.Error("no request was sent meanwhile")
	}
}

// exchangeConfig exchanges the configuration for another one as an orchestrator does: by a rename.
func (w *world) exchangeConfig(more string) {
	w.t.Helper()
	config := w.config
	w.config += ".new"
	w.writeConfig(more)
	if err := os.Rename(w.config, config); err != nil {
		w.t.Fatal(err)
	}
	w.config = config
}

// TestTheLogSaysWhatCheckFinds at the start, and at a reload what is new.
func TestTheLogSaysWhatCheckFinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const key = "authn: { keys: [ { id: main, secret: \"e2e-jwt-secret-e2e-jwt-secret-e2e\" } ] }\n"
	w.writeConfig("  - { path: /**, upstream: recipes, auth: none }\n" + key)
	w.serve()
	w.waitSays(`"id":"literal-secret","severity":"warning","key":"authn.keys[0].secret"`, 1)
	w.waitSays(`"id":"open-route","severity":"warning","key":"routes[2].path"`, 1)
	w.reload("  - { path: /**, upstream: recipes, auth: none }\n  - { path: /api/v1/auth/wx-login, upstream: recipes, auth: none }\n"+key, `"id":"route-over-endpoint"`)
	for _, told := range []string{"literal-secret", "open-route"} {
		if n := w.says(`"id":"` + told + `"`); n != 1 {
			t.Errorf("the log has %s %d times, want once", told, n)
		}
	}
}
