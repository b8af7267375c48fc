package e2e

import (
	"context"
	"crypto/tls"
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

	"wxgate/gateway/certificate/certificatetest"
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

// onUnixSocket lets the admin listener of a world be a Unix socket.
func (w *world) onUnixSocket() (path string) {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "wxgate") // short: a path of a socket has a hundred bytes at most
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "admin.sock")
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf("admin: %q", "unix:"+path))
	return path
}

// TestTheOperatorWorksOverAUnixSocket uses the commands that ask a running gateway, before and after a power cut, and after a
// hand-over, whose predecessor must leave the socket alone.
func TestTheOperatorWorksOverAUnixSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.onUnixSocket()
	if _, said, _ := run(t, "", "-c", w.config, "users", "list"); !strings.Contains(said, "there is no such socket; is the gateway running?") {
		t.Errorf("before the start: %s", said)
	}
	w.serve()
	token := w.login("alice")
	w.does(words("users list"), appID)
	w.does(words("sessions list 1"), "SESSION")
	w.does([]string{"backup", filepath.Join(w.dir, "of-alice")})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v, %v, want 0660", info, err)
	}
	w.kill()
	w.fails(words("users list"), "connection refused; is the gateway running?")
	w.serve()
	w.does(words("users list"), appID)
	w.signal(syscall.SIGUSR2)
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), "a successor serves") })
	w.does(words("users ban 1 --for 72h"), "banned until  20")
	w.want("a banned user's token", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, "token_revoked")
}

// TestAFileIsNotTakenForAStaleSocket: a path that was meant otherwise.
func TestAFileIsNotTakenForAStaleSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.onUnixSocket()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"serve", "-c", w.config})
	select {
	case <-p.exited:
	case <-time.After(60 * time.Second):
		t.Fatal("it serves")
	}
	if text, err := os.ReadFile(path); string(text) != "mine" || err != nil || !strings.Contains(p.output.String(), path+": this is a file, and no socket") {
		t.Errorf("the file holds %q, %v:\n%s", text, err, p.output)
	}
}

// TestTheAdminListenerSpeaksTLS uses the commands over TLS, exchanges the certificate, and tries plain HTTP.
func TestTheAdminListenerSpeaksTLS(t *testing.T) {
	t.Parallel()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	cert, key := filepath.Join(w.dir, "admin.pem"), filepath.Join(w.dir, "admin.key")
	issue := func(leaf certificatetest.Leaf) {
		t.Helper()
		if err := authority.IssueTo(cert, key, leaf); err != nil {
			t.Fatal(err)
		}
	}
	issue(certificatetest.Leaf{Names: []string{"admin.test"}, Deep: true})
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf(`admin: "127.0.0.1:0", admin_token: %q, admin_tls: { cert: %q, key: %q }`, adminToken, cert, key))
	w.serve()
	address := strings.TrimPrefix(w.admin, "http://")
	served := func() time.Time {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: authority.Pool(), ServerName: "admin.test"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	w.login("alice")
	w.does(words("users list"), appID)
	w.does([]string{"backup", filepath.Join(w.dir, "of-alice")})
	if code := status(t, http.DefaultTransport, w.admin+"/metrics", adminToken); code != http.StatusBadRequest {
		t.Errorf("plain HTTP: %d, want 400", code)
	}
	first := served()
	if err := os.WriteFile(cert, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() bool { return strings.Contains(w.output.String(), "server.admin_tls.cert") })
	if got := served(); !got.Equal(first) {
		t.Errorf("after a broken file it serves one until %v, want %v", got, first)
	}
	issue(certificatetest.Leaf{Names: []string{"admin.test"}, Life: 48 * time.Hour})
	eventually(t, 30*time.Second, func() bool { return !served().Equal(first) })
	w.does(words("users list"), appID)
	others := filepath.Join(w.dir, "others.pem")
	if err := authority.IssueTo(others, filepath.Join(w.dir, "others.key"), certificatetest.Leaf{Names: []string{"admin.test"}}); err != nil {
		t.Fatal(err)
	}
	w.rewrite(fmt.Sprintf("cert: %q", cert), fmt.Sprintf("cert: %q", others)) // refused: its key is another
	w.fails(words("users list"), "x509")                                      // and the token is not told to whom the file does not know
}
