package e2e

import (
	"net/http"
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
	w.reload("authn: { keys: ["+fresh+", "+old+"] }\n", `"msg":"reloaded","keys":2`)
	w.want("with both keys", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	renewed := w.login("alice")
	w.reload("authn: { keys: ["+fresh+"] }\n", `"msg":"reloaded","keys":1`)
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
	eventually(w.t, 10*time.Second, func() bool { return strings.Contains(w.output.String(), said) })
}
