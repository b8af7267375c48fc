package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/examples/recipes"
)

// TestTheAuthorityOfAServiceIsExchangedWhileRequestsGoOn has a service over TLS whose authority's file is missing at first,
// then there, then rubbish, and then there again with another beside it, all without a signal.
func TestTheAuthorityOfAServiceIsExchangedWhileRequestsGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := httptest.NewTLSServer(recipes.New())
	t.Cleanup(service.Close)
	ca := filepath.Join(w.dir, "ca.pem")
	w.rewrite("recipes: "+w.service.URL, fmt.Sprintf("recipes: { targets: [%s], tls: { ca: %q } }", service.URL, ca))
	if said, code := w.command("check", "-c", w.config); code != 1 || !strings.Contains(said, "upstreams.recipes.tls.ca: open "+ca) {
		t.Errorf("check without the file: %d %s", code, said)
	}
	put := func(text string) {
		err := os.WriteFile(ca+".new", []byte(text), 0o600)
		if err == nil {
			err = os.Rename(ca+".new", ca)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	whole := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}))
	put(whole)
	w.serve()
	token := w.login("alice")
	w.want("with the authority", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	put("rubbish")
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), "holds no certificate in PEM") })
	if got := w.gauge("wxgate_config_last_reload_successful"); got != "0" {
		t.Errorf("with rubbish the gauge is %s, want 0", got)
	}
	w.want("with rubbish the authority stays", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	put(whole + whole)
	eventually(t, 60*time.Second, func() bool { return w.gauge("wxgate_config_last_reload_successful") == "1" })
	w.want("with it again", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.rewrite(ca, ca+".2") // the folder of certificates is mounted after the configuration
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), "open "+ca+".2: no such file") })
	if err := os.Link(ca, ca+".2"); err != nil { // the running one stays
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, func() bool { return w.gauge("wxgate_config_last_reload_successful") == "1" })
	w.want("with the other file", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	if said, code := w.command("doctor", "-c", w.config); !strings.Contains(said, "connections are accepted by "+service.URL) {
		t.Errorf("doctor: %d %s", code, said)
	}
}
