package e2e

import (
	"encoding/base64"
	"errors"
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

	"github.com/goccy/go-yaml"
)

// TestTheKubernetesManifestServesAndDrains runs what deploy/kubernetes/wxgate.yaml puts into a pod: its configuration with the
// addresses of this machine, its arguments, its secrets as files, on MariaDB. It asks what the probes ask, and stops as a pod is
// stopped.
func TestTheKubernetesManifestServesAndDrains(t *testing.T) {
	if os.Getenv("WXGATE_DEPLOY") == "" {
		t.Skip("make long WHAT=deploy")
	}
	t.Parallel()
	m := readManifest(t, "../deploy/kubernetes/wxgate.yaml")
	pod := m.deployment.Spec.Template.Spec
	_, dsn := newDatabase(t)
	w := newWorld(t)
	w.deploy(m.gateway, pod.Containers[0].Args, "/etc/wxgate/gateway.yaml", map[string]string{
		"WX_SECRET": appSecret, "JWT_SECRET": jwtSecret, "STORAGE_KEY": storageKey, "ADMIN_TOKEN": adminToken, "MYSQL_DSN": dsn,
	})
	c := pod.Containers[0]
	for _, p := range []probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p.HTTPGet.Port != "admin" || w.admins(p.HTTPGet.Path, "") != http.StatusOK {
			t.Errorf("a probe of %s at %s: got %d", p.HTTPGet.Path, p.HTTPGet.Port, w.admins(p.HTTPGet.Path, ""))
		}
	}
	token := w.login("alice")
	w.want("a request", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")

	grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, grace, func() bool { return w.admins(c.ReadinessProbe.HTTPGet.Path, "") == http.StatusServiceUnavailable })
	w.want("a request while the endpoints still name the pod", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	select {
	case <-w.exited:
	case <-time.After(grace):
		t.Fatalf("the pod would have been killed after %v:\n%s", grace, w.output)
	}
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, w.output)
	}
}

// TestTheComposeFileServes runs the gateway of deploy/compose with the secrets that its script makes, and asks what its health
// check and its Prometheus ask.
func TestTheComposeFileServes(t *testing.T) {
	if os.Getenv("WXGATE_DEPLOY") == "" {
		t.Skip("make long WHAT=deploy")
	}
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Command     any
			Environment map[string]string
			Healthcheck struct{ Test []string }
		}
	}
	readYAML(t, "../deploy/compose/compose.yaml", &compose)
	gateway := compose.Services["gateway"]
	w := newWorld(t)
	script := filepath.Join(w.dir, "secrets.sh")
	text, err := os.ReadFile("../deploy/compose/secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, text, 0o700); err != nil {
		t.Fatal(err)
	}
	made := exec.CommandContext(t.Context(), script)
	made.Env = append(os.Environ(), "WX_SECRET="+appSecret)
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
	secrets := map[string]string{}
	for _, name := range []string{"WX_SECRET", "JWT_SECRET", "STORAGE_KEY", "MYSQL_PASSWORD", "ADMIN_TOKEN"} {
		text, err := os.ReadFile(filepath.Join(w.dir, "secrets", name))
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = string(text)
	}
	if key, err := base64.StdEncoding.DecodeString(secrets["STORAGE_KEY"]); err != nil || len(key) != 32 {
		t.Errorf("STORAGE_KEY is %d bytes, %v", len(key), err)
	}
	server := startServer(t)
	user := gateway.Environment["MYSQL_USERNAME"]
	for _, statement := range []string{
		"CREATE DATABASE wxgate", fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", user, secrets["MYSQL_PASSWORD"]), "GRANT ALL ON wxgate.* TO " + user,
	} {
		if _, err := server.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile("../deploy/compose/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(strings.Trim(fmt.Sprint(gateway.Command), "[]"))
	w.deploy(string(config), args, "/etc/wxgate/gateway.yaml", secrets, "WX_APPID="+appID, "MYSQL_ADDRESS="+overTCP(t, server.Socket), "MYSQL_USERNAME="+user)
	token := w.login("alice")
	w.want("a request", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")

	w.rewrite("server:\n", "server:\n  listen: "+strings.TrimPrefix(w.url, "http://")+"\n")
	health := gateway.Healthcheck.Test[2:] // behind CMD and the program
	cmd := exec.CommandContext(t.Context(), binary, replaced(health, "/etc/wxgate/gateway.yaml", w.config)...)
	cmd.Env = []string{"WX_APPID=" + appID, "CREDENTIALS_DIRECTORY=" + filepath.Join(w.dir, "run"), "MYSQL_ADDRESS=x:1", "MYSQL_USERNAME=" + user}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the health check: %v\n%s", err, out)
	}
	if got := w.admins("/metrics", secrets["ADMIN_TOKEN"]); got != http.StatusOK {
		t.Errorf("what Prometheus asks: got %d", got)
	}
	if got := w.admins("/metrics", "another"); got != http.StatusUnauthorized {
		t.Errorf("the same with another token: got %d", got)
	}
}

// deploy starts a gateway with a configuration for containers, whose addresses become those of this machine, and with secrets in
// files of CREDENTIALS_DIRECTORY alone.
func (w *world) deploy(config string, args []string, file string, secrets map[string]string, env ...string) {
	w.t.Helper()
	folder := filepath.Join(w.dir, "run")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		w.t.Fatal(err)
	}
	for name, value := range secrets {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(value), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, change := range [][2]string{
		{`"0.0.0.0:9090"`, `"127.0.0.1:0"`},
		{"http://recipes:3000", w.service.URL},
		{"wechat:\n", "wechat:\n  base_url: " + w.weChat.URL() + "\n"},
		{"wx1234567890abcdef", appID},
		{`listen: ":8080"`, `listen: "127.0.0.1:0"`},
	} {
		config = strings.Replace(config, change[0], change[1], 1)
	}
	if err := os.WriteFile(w.config, []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	without := []string{"-u", "WX_APPID", "-u", "WX_SECRET", "-u", "JWT_SECRET"} // which the tests set otherwise
	env = append(env, "CREDENTIALS_DIRECTORY="+folder, "PORT=0")
	cmd := exec.Command("env", append(append(append(without, env...), binary), replaced(args, file, w.config)...)...)
	w.process = startCommand(w.t, cmd)
	w.waitServing(w.t)
	w.url = strings.Replace(w.url, "[::]", "127.0.0.1", 1)
}

// admins asks the admin listener as a probe does, or with a token, and returns the status.
func (w *world) admins(path, token string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.admin+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		w.t.Error(err)
	}
	return resp.StatusCode
}

// replaced is args with one of them replaced.
func replaced(args []string, old, now string) []string {
	changed := make([]string, len(args))
	for i, arg := range args {
		changed[i] = strings.Replace(arg, old, now, 1)
	}
	return changed
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// manifest is what the tests need of deploy/kubernetes/wxgate.yaml.
type manifest struct {
	gateway    string
	deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
					Containers                    []struct {
						Args           []string
						StartupProbe   probe `yaml:"startupProbe"`
						ReadinessProbe probe `yaml:"readinessProbe"`
						LivenessProbe  probe `yaml:"livenessProbe"`
					}
				}
			}
		}
	}
}

func readManifest(t *testing.T, file string) (m manifest) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var kind struct {
			Kind string
			Data map[string]string
		}
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "ConfigMap":
			m.gateway = kind.Data["gateway.yaml"]
		case "Deployment":
			if err := yaml.Unmarshal([]byte(document), &m.deployment); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.gateway == "" || len(m.deployment.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%s has no gateway", file)
	}
	return m
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
