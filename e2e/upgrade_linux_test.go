package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
)

// TestUpgradingAndGoingBack follows docs/upgrading.md between the release before, whose commit WXGATE_UPGRADE names, and
// this source: up, down and up again, with the data that people left behind at each step, in a folder and in MariaDB.
func TestUpgradingAndGoingBack(t *testing.T) {
	commit := os.Getenv("WXGATE_UPGRADE")
	if commit == "" {
		t.Skip("make long WHAT=upgrade")
	}
	before := buildCommit(t, commit)
	t.Run("a folder", func(t *testing.T) {
		w := newUpgrade(t, before)
		w.upAndDown("nothing waits")
	})
	t.Run("MariaDB", func(t *testing.T) {
		w := newUpgrade(t, before)
		_, dsn := newDatabase(t)
		w.onDatabase(dsn)
		w.upAndDown("an older wxgate still works with the database after that")
		w.besideEachOther()
	})
}

// buildCommit builds wxgate as it was at a commit of this repository.
func buildCommit(t *testing.T, commit string) (program string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	source := t.TempDir()
	archive := exec.Command("git", "-C", root, "archive", "--format=tar", commit)
	var fault bytes.Buffer
	archive.Stderr = &fault
	tar, err := archive.Output()
	if err != nil {
		t.Fatalf("the history has no commit %s (a shallow clone? git fetch --unshallow): %v\n%s", commit, err, fault.String())
	}
	unpack := exec.Command("tar", "-x", "-C", source)
	unpack.Stdin = bytes.NewReader(tar)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", commit, err, out)
	}
	program = filepath.Join(t.TempDir(), "wxgate-before")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = source
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", commit, err, out)
	}
	return program
}

// upgrade is a world whose gateway changes versions, and who is known in it.
type upgrade struct {
	*world
	before, now string // programs
	people      map[string]*member
}

// member is somebody who has logged in, and must stay that user.
type member struct {
	id    int64
	token string
	data  sandbox.OpenData // that only a session_key from before opens
}

func newUpgrade(t *testing.T, before string) *upgrade {
	t.Helper()
	w := newWorld(t)
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", admin_token: "`+adminToken+`"`)
	return &upgrade{world: w, before: before, now: binary, people: map[string]*member{}}
}

// run starts the gateway of a version.
func (u *upgrade) run(program string) {
	u.t.Helper()
	u.process = startCommand(u.t, exec.Command(program, "serve", "-c", u.config))
	u.waitServing(u.t)
}

// exchange stops the gateway, and starts that of another version on the same data.
func (u *upgrade) exchange(program string) {
	u.t.Helper()
	if code := u.stop(u.t); code != 0 {
		u.t.Fatalf("the stop: exit code %d\n%s", code, u.output)
	}
	u.run(program)
}

// upAndDown exchanges versions. Before that, `wxgate migrate status` of the newer one says that going back is possible.
func (u *upgrade) upAndDown(status string) {
	u.run(u.before)
	u.join("alice")
	banned, left := u.join("bob"), u.join("carol")
	u.does([]string{"users", "ban", fmt.Sprint(banned.id)})
	u.want("the logout", u.call("POST", "/api/v1/auth/logout", left.token, ""), http.StatusOK, "")
	delete(u.people, "bob")
	delete(u.people, "carol")
	if out, stderr, code := run(u.t, "", "migrate", "status", "-c", u.saveConfig("status.yaml")); code != 0 || !strings.Contains(out, status) {
		u.t.Errorf("wxgate migrate status: exit code %d, %s%s\nwant %q", code, out, stderr, status)
	}
	for step, program := range []string{u.now, u.before, u.now} {
		u.exchange(program)
		u.t.Logf("step %d: %s serves", step+1, filepath.Base(program))
		u.knowsEverybody()
		u.want("a token of the banned", u.call("GET", "/whoami", banned.token, ""), http.StatusUnauthorized, "token_revoked")
		u.want("a token from before the logout", u.call("GET", "/whoami", left.token, ""), http.StatusUnauthorized, "token_revoked")
		u.join(fmt.Sprint("newcomer ", step))
	}
	u.knowsEverybody()
}

// join logs somebody in who then has to stay known.
func (u *upgrade) join(name string) *member {
	u.t.Helper()
	got := u.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, u.weChat.IssueCode(name)))
	user, _ := got.data()["user"].(map[string]any)
	id, _ := user["id"].(float64)
	token, _ := got.data()["access_token"].(string)
	for other, p := range u.people {
		if p.id == int64(id) {
			u.t.Errorf("%s and %s are both user %d", name, other, p.id)
		}
	}
	if got.status != http.StatusOK || id == 0 || token == "" {
		u.t.Fatalf("the login of %s: %d %s", name, got.status, got.body)
	}
	u.people[name] = &member{id: int64(id), token: token, data: u.sealed(name)}
	return u.people[name]
}

// sealed is what WeChat gives somebody's phone under the session_key of their last login.
func (u *upgrade) sealed(name string) sandbox.OpenData {
	u.t.Helper()
	data, err := u.weChat.EncryptData(name, u.weChat.Object("userinfo", name))
	if err != nil {
		u.t.Fatal(err)
	}
	return data
}

// knowsEverybody calls and refreshes with everybody's token, opens data under their session_key, and logs them in again.
func (u *upgrade) knowsEverybody() {
	u.t.Helper()
	for name, p := range u.people {
		u.want("a token of "+name, u.call("GET", "/whoami", p.token, ""), http.StatusOK, "")
		u.want("data under an earlier session_key of "+name, u.call("POST", "/api/v1/auth/decrypt", p.token,
			fmt.Sprintf(`{"encryptedData":%q,"iv":%q}`, p.data.EncryptedData, p.data.IV)), http.StatusOK, "")
		got := u.call("POST", "/api/v1/auth/refresh", p.token, "")
		u.want("a refresh of "+name, got, http.StatusOK, "")
		p.token, _ = got.data()["access_token"].(string)
		if id, got, err := u.tryLogin(name); err != nil || id != p.id {
			u.t.Errorf("%s is user %d (%v, %s), was %d", name, id, err, got.body, p.id)
		}
		p.data = u.sealed(name)
	}
}

// besideEachOther runs both versions on one database, as an upgrade of replicas one after the other does.
func (u *upgrade) besideEachOther() {
	u.t.Helper()
	older := *u.world
	older.process = startCommand(u.t, exec.Command(u.before, "serve", "-c", u.config))
	older.waitServing(u.t)
	dave := u.join("dave")
	older.want("a token of the newer version at the older", older.call("GET", "/whoami", dave.token, ""), http.StatusOK, "")
	older.want("a logout at the older version", older.call("POST", "/api/v1/auth/logout", dave.token, ""), http.StatusOK, "")
	eventually(u.t, 10*time.Second, func() bool { return u.call("GET", "/whoami", dave.token, "").status == http.StatusUnauthorized })
	u.want("the token after that at the newer", u.call("GET", "/whoami", dave.token, ""), http.StatusUnauthorized, "token_revoked")
	if code := older.stop(u.t); code != 0 {
		u.t.Errorf("the stop of the older version: exit code %d\n%s", code, older.output)
	}
}
