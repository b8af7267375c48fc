//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serveInto serves with a log that goes into a pipe, which is read until the gateway serves and no further.
func (w *world) serveInto() (log *os.File) {
	w.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = reader.Close() })
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Stdout, cmd.Stderr = writer, writer
	w.process = startCommand(w.t, cmd)
	w.t.Cleanup(w.killAll)
	_ = writer.Close()
	lines := bufio.NewReaderSize(reader, 16)
	for w.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			w.t.Fatalf("the log ended: %v", err)
		}
		if found := serving.FindStringSubmatch(line); found != nil {
			w.url, w.admin = "http://"+found[1], "http://"+found[2]
		}
	}
	return reader
}

// waitReadyz waits until readiness says so. It stays 200: other instances have the same log.
func (w *world) waitReadyz(says string) {
	w.t.Helper()
	var last string
	defer func() {
		if w.t.Failed() {
			w.t.Logf("/readyz says %q, want …%s…", last, says)
		}
	}()
	eventually(w.t, 60*time.Second, func() bool {
		var status int
		if status, last = w.readyz(); status != http.StatusOK {
			w.t.Fatalf("/readyz is %d: %s", status, last)
		}
		return strings.Contains(last, says)
	})
}

// storeOwner is the pid of the process that has the data folder.
func (w *world) storeOwner() string {
	pid, _ := os.ReadFile(filepath.Join(w.dir, "data", "LOCK"))
	return strings.TrimSpace(string(pid))
}

// TestAReaderOfTheLogThatLeavesEndsNothing closes the pipe behind stderr: requests, a restart and a stop go on.
func TestAReaderOfTheLogThatLeavesEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.serveInto()
	token := w.login("alice")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		w.want("with a log that nobody reads", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	}
	w.waitReadyz("the log cannot be written (broken pipe)")
	if got := w.gauge("wxgate_log_lines_dropped_total"); got == "0" || got == "none" {
		t.Errorf("wxgate_log_lines_dropped_total is %s", got)
	}
	first := w.storeOwner()
	w.signal(syscall.SIGUSR2)
	eventually(t, 60*time.Second, func() bool { owner := w.storeOwner(); return owner != first && owner != "" })
	eventually(t, 60*time.Second, func() bool {
		got, err := w.try("GET", "/api/v1/recipes", token, "")
		return err == nil && got.status == http.StatusOK
	})
	w.login("bob")
	w.signal(syscall.SIGTERM)
	if code := w.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestALogThatNobodyReadsStopsNothing fills the pipe behind stderr, which stopped everything after 222 requests. What the
// gateway kept is then read.
func TestALogThatNobodyReadsStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.serveInto()
	token := w.login("alice")
	const requests = 600
	for i := range requests {
		w.want("with a log that nobody reads", w.call("GET", fmt.Sprintf("/api/v1/recipes?%d", i), token, ""), http.StatusOK, "")
	}
	w.want("health", w.call("GET", "/healthz", "", ""), http.StatusOK, "")
	w.waitReadyz("nobody reads the log, 0 lines were dropped")
	read := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(log)
		read <- string(said)
	}()
	eventually(t, 60*time.Second, func() bool { _, text := w.readyz(); return text == "ok" })
	w.signal(syscall.SIGTERM)
	code := w.ended()
	said := <-read
	keepsSecrets(t, "the log", said)
	if got := strings.Count(said, `"path":"/api/v1/recipes"`); got != requests || code != 0 || !strings.Contains(said, `"msg":"stopped"`) {
		t.Errorf("the log has %d of %d requests, exit code %d; its end is\n%s", got, requests, code, said[max(0, len(said)-500):])
	}
}

// TestAStopDoesNotWaitForALogThatNobodyReads ends a gateway whose last lines nobody takes.
func TestAStopDoesNotWaitForALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.serveInto()
	full, err := unix.FcntlInt(log.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for i := range full/100 + 1 {
		w.call("GET", fmt.Sprintf("/nothing/%d", i), "", "")
	}
	w.waitReadyz("nobody reads the log")
	w.signal(syscall.SIGTERM)
	if code := w.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestALogOnAFullDiskStopsNothing has stderr in a file whose disk fills up, and gets room again.
func TestALogOnAFullDiskStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disk := filepath.Join(w.dir, "log")
	smallDisk(t, disk)
	file, err := os.OpenFile(filepath.Join(disk, "wxgate.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Stdout, cmd.Stderr = file, file
	w.process = startCommand(t, cmd)
	_ = file.Close()
	said := func() string {
		text, err := os.ReadFile(filepath.Join(disk, "wxgate.log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	eventually(t, 60*time.Second, func() bool {
		found := serving.FindStringSubmatch(said())
		if found != nil {
			w.url, w.admin = "http://"+found[1], "http://"+found[2]
		}
		return found != nil
	})
	ballast := filepath.Join(disk, "ballast")
	fillUp(t, ballast)
	eventually(t, 60*time.Second, func() bool { // the file's last page has some room
		w.want("with a full disk", w.call("GET", "/healthz", "", ""), http.StatusOK, "")
		_, text := w.readyz()
		return strings.Contains(text, "the log cannot be written (no space left on device)")
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.call("GET", "/after/the/flood", "", "")
	eventually(t, 60*time.Second, func() bool { return strings.Contains(said(), `"msg":"lines of the log were dropped"`) })
	for line := range strings.Lines(said()) {
		if strings.Contains(line, "/after/the/flood") && !strings.HasPrefix(line, "{") {
			t.Errorf("the first line after the full disk is %q", line)
		}
	}
	w.waitReadyz("ok")
}

// TestADemoWhoseOutputsAreClosedGoesOn closes stdout and stderr of the demo.
func TestADemoWhoseOutputsAreClosedGoesOn(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "demo", "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = writer, writer
	demo := startCommand(t, cmd)
	_ = writer.Close()
	lines := bufio.NewScanner(reader)
	url := ""
	for url == "" && lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), "listen="); found {
			url = "http://" + strings.Fields(address)[0]
		}
	}
	_ = reader.Close()
	client := &http.Client{Timeout: 20 * time.Second}
	for range 50 {
		resp, err := client.Get(url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if code := demo.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// metrics is what the admin listener says of them.
func (w *world) metrics() string {
	w.t.Helper()
	resp, err := w.client.Get(w.admin + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(all)
}
