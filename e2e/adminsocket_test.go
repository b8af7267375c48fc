package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onSockets starts wxgate with the sockets of systemd: one for the public on loopback, and this one for the operator.
func (w *world) onSockets(t *testing.T, admin net.Listener) {
	t.Helper()
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = public.Close(); _ = admin.Close() })
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" serve -c "$1"`, binary, w.config)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=public:admin")
	for _, ln := range []net.Listener{public, admin} {
		file, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	w.process = startCommand(t, cmd)
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	switch {
	case err != nil && strings.HasPrefix(address, "["):
		t.Skipf("this machine has no IPv6: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	return ln
}

// TestASocketOfSystemdForEverybodyNeedsAnAdminToken: the admin API answered anybody who said Host: localhost.
func TestASocketOfSystemdForEverybodyNeedsAnAdminToken(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			admin := listen(t, "tcp", address)
			w.onSockets(t, admin)
			select {
			case <-w.exited:
			case <-time.After(30 * time.Second):
				t.Fatalf("it serves:\n%s", w.output)
			}
			if code := w.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(w.output.String(), "the admin socket listens on "+admin.Addr().String()) ||
				!strings.Contains(w.output.String(), "set server.admin_token") {
				t.Errorf("exit code %d:\n%s", code, w.output)
			}
		})
	}
}

// TestATokenCannotBeTakenFromASocketForEverybody starts with a token, and takes it out at a reload and at a hand-over.
func TestATokenCannotBeTakenFromASocketForEverybody(t *testing.T) {
	t.Parallel()
	const token = "an-admin-token-of-24-bytes"
	w := newWorld(t)
	admin := listen(t, "tcp", "0.0.0.0:0")
	w.put(strings.Replace(w.text(), `admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", admin_token: `+token, 1))
	w.onSockets(t, admin)
	w.waitServing(t)
	url := fmt.Sprintf("http://127.0.0.1:%d/api/users", admin.Addr().(*net.TCPAddr).Port)
	if code := status(t, http.DefaultTransport, url, ""); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
	if code := status(t, http.DefaultTransport, url, token); code != http.StatusOK {
		t.Errorf("with the token: %d", code)
	}
	w.put(strings.Replace(w.text(), ", admin_token: "+token, "", 1))
	for _, s := range []struct {
		signal syscall.Signal
		says   string
	}{{syscall.SIGHUP, "reload refused"}, {syscall.SIGUSR2, "no hand-over"}} {
		w.signal(s.signal)
		eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), s.says) })
		if code := status(t, http.DefaultTransport, url, ""); code != http.StatusUnauthorized {
			t.Errorf("after %v without the token: %d", s.signal, code)
		}
	}
	if !strings.Contains(w.output.String(), "the admin socket listens on ") {
		t.Errorf("the log does not say why:\n%s", w.output)
	}
}

// TestAUnixSocketOfSystemdIsOfThisMachine: who may use it, its file says.
func TestAUnixSocketOfSystemdIsOfThisMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "admin.sock")
	w.onSockets(t, listen(t, "unix", path))
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), `"serving"`) || w.gone() })
	unix := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer unix.CloseIdleConnections()
	if code := status(t, unix, "http://localhost/api/users", ""); code != http.StatusOK {
		t.Errorf("over the Unix socket: %d\n%s", code, w.output)
	}
	if code := status(t, unix, "http://evil.example/api/users", ""); code != http.StatusForbidden {
		t.Errorf("for another host: %d", code)
	}
}

// text is the configuration as it stands in its file.
func (w *world) text() string {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func status(t *testing.T, by http.RoundTripper, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := by.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
