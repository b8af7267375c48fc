package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestTheCloudRunPage follows docs/cloud-run.md with what the platform gives a container: an empty database, variables,
// a port, and the headers of callContainer.
func TestTheCloudRunPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page, err := os.ReadFile("../docs/cloud-run.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/cloud-run.md has no gateway.yaml")
	}
	yaml := strings.Replace(string(block[1]), "http://recipes.internal:80", w.service.URL, 1)
	if err := os.WriteFile(w.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	server, _ := newDatabase(t)
	address := overTCP(t, server.Socket)
	container := func() {
		cmd := exec.Command(binary, "serve", "-c", w.config)
		cmd.Dir = t.TempDir() // what a container writes is of no use to the next
		cmd.Env = []string{
			"CBR_ENV_ID=prod-1", "PORT=0", "STORAGE_KEY=" + storageKey,
			"MYSQL_ADDRESS=" + address, "MYSQL_USERNAME=wx", "MYSQL_PASSWORD=" + databasePassword,
		}
		w.process = startCommand(t, cmd)
		p := w.process
		t.Cleanup(func() { w.leaksNothing(p) })
		w.process.waitServing(t)
	}
	container()
	w.want("the probe", w.call("GET", "/", "", ""), http.StatusOK, "")
	first := w.callContainer("POST", "/api/v1/auth/cloud-login", "openid-of-alice")
	w.want("the login", first, http.StatusOK, "")
	if user, _ := first.data()["user"].(map[string]any); user["id"] != float64(1) {
		t.Errorf("the first user: %s", first.body)
	}
	w.want("a forged openid", w.call("POST", "/api/v1/auth/cloud-login", "", "{}"), http.StatusUnauthorized, "cloud_identity_missing")
	if err := w.process.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-w.process.exited
	if code := w.process.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("after SIGTERM: exit %d\n%s", code, w.output)
	}
	container() // another one, with a disk of its own
	token, _ := first.data()["access_token"].(string)
	w.want("the token at another container", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
	w.want("without a token", w.callContainer("GET", "/api/v1/user/profile", "openid-of-alice"), http.StatusOK, "")
}

// callContainer sends a request as wx.cloud.callContainer does.
func (w *world) callContainer(method, path, openID string) answer {
	w.t.Helper()
	return w.call(method, path, "", "{}", "X-Wx-Source", "wx_client", "X-Wx-Env", "prod-1", "X-Wx-Appid", appID,
		"X-Wx-Openid", openID, "X-Original-Forwarded-For", "203.0.113.7")
}

// overTCP lets a server that listens on a socket be reached by an address.
func overTCP(t *testing.T, socket string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		}
	}()
	return ln.Addr().String()
}

// TestAFolderThatWillBeLostIsRefused starts on memory, and with a word that it is meant.
func TestAFolderThatWillBeLostIsRefused(t *testing.T) {
	t.Parallel()
	var at syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &at); err != nil || at.Type != 0x01021994 {
		t.Skip("no tmpfs at /dev/shm")
	}
	w := newWorld(t)
	memory, err := os.MkdirTemp("/dev/shm", "wxgate-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(memory) })
	w.rewrite(fmt.Sprintf("dir: %q, accept_ephemeral: true", filepath.Join(w.dir, "data")), fmt.Sprintf("dir: %q", filepath.Join(memory, "data")))
	refused := start(t, []string{"serve", "-c", w.config})
	<-refused.exited
	if said := refused.output.String(); !strings.Contains(said, "tmpfs") || !strings.Contains(said, "storage.badger.accept_ephemeral: true") {
		t.Errorf("got\n%s", said)
	}
	if said, code := w.command("check", "-c", w.config); code != 0 || !strings.Contains(said, ": storage.badger.dir: ") || !strings.Contains(said, "[data-ephemeral]") || !strings.Contains(said, "tmpfs, which is memory") {
		t.Errorf("check: exit %d\n%s", code, said)
	}
	w.diagnosed("a folder in memory", 1, "FAIL  storage", "tmpfs, which is memory")
	if _, err := os.Stat(filepath.Join(memory, "data")); err == nil {
		t.Error("a folder was made although the start was refused")
	}
	w.rewrite("storage: { badger: { ", "storage: { badger: { accept_ephemeral: true, ")
	w.rewrite("storage: { ", fmt.Sprintf("storage: { backup: { every: 24h, dir: %q }, ", filepath.Join(memory, "backups")))
	w.diagnosed("backups in memory", 1, "FAIL  backup", "the backups would be lost with it")
	w.serve()
	w.waitSays("backups would not last", 1)
	w.login("alice")
}
