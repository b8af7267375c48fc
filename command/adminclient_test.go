package command

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// silentListener takes connections of a gateway that is stopped: the kernel accepts them, and nobody answers.
func silentListener(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

func TestACommandToAStoppedGatewayEndsAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	address := silentListener(t)
	admin := &adminClient{address: address, stderr: io.Discard, timeout: 50 * time.Millisecond}
	const stuck = "no answer within 50ms: the gateway is stopped or stuck"
	const mayHaveChanged = "The change may have been made"
	err := admin.ask(t.Context(), http.MethodGet, "/api/users", nil, nil)
	if err == nil || !strings.Contains(err.Error(), address+": "+stuck) || strings.Contains(err.Error(), mayHaveChanged) {
		t.Errorf("a list says %v, want %q and of no change", err, stuck)
	}
	err = admin.ask(t.Context(), http.MethodPost, "/api/users/1/ban", map[string]string{}, nil)
	if err == nil || !strings.Contains(err.Error(), stuck) || !strings.Contains(err.Error(), mayHaveChanged) {
		t.Errorf("a ban says %v, want %q and %q", err, stuck, mayHaveChanged)
	}
	_, err = admin.send(t.Context(), http.MethodGet, "/api/users/export", "", nil)
	if err == nil || !strings.Contains(err.Error(), stuck) {
		t.Errorf("an export says %v, want %q", err, stuck)
	}
}

func TestAnExportThatHasBegunMayTakeItsTime(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{\"id\":1}\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "{\"id\":2}\n")
	}))
	t.Cleanup(gateway.Close)
	var told bytes.Buffer
	admin := &adminClient{address: gateway.Listener.Addr().String(), stderr: &told, timeout: time.Second}
	answer, err := admin.send(t.Context(), http.MethodGet, "/api/users/export", "", nil)
	if err != nil {
		close(more)
		t.Fatal(err)
	}
	defer answer.Close()
	time.AfterFunc(admin.timeout+100*time.Millisecond, func() { close(more) })
	if got, err := io.ReadAll(answer); err != nil || string(got) != "{\"id\":1}\n{\"id\":2}\n" {
		t.Errorf("got %q and %v, want both lines", got, err)
	}
}
