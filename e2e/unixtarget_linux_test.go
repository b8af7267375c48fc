package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxgate/examples/recipes"
)

// TestAServiceOnAUnixSocket goes through a gateway to one, and asks the commands about it.
func TestAServiceOnAUnixSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "wxgate") // short: a path of a socket has a hundred bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	service := httptest.NewUnstartedServer(recipes.New())
	_ = service.Listener.Close()
	if service.Listener, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	service.Start()
	t.Cleanup(service.Close)
	w := newWorld(t)
	w.rewrite("recipes: "+w.service.URL, fmt.Sprintf("recipes: { targets: [%q], health: { path: /healthz } }", "unix:"+path))
	w.serve()
	token := w.login("alice")
	w.want("through the socket", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	metrics := w.metrics()
	if want := `wxgate_upstream_requests_total{result="2xx",target="unix:` + path + `",upstream="recipes"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
	w.does([]string{"explain", "GET", "/api/v1/recipes"}, "unix:"+path)
	if said, _ := w.command("doctor", "-c", w.config); !strings.Contains(said, "connections are accepted by unix:"+path) {
		t.Errorf("doctor:\n%s", said)
	}
	service.Close()
	if said, _ := w.command("doctor", "-c", w.config); !strings.Contains(said, "FAIL  upstream recipes") || !strings.Contains(said, path) {
		t.Errorf("doctor without the service:\n%s", said)
	}
}
