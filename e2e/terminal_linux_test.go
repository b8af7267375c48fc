package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens one: what is written to line appears on screen.
func terminal(t *testing.T) (screen, line *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, line
}

// onTerminal runs the gateway with its log on a terminal, and returns what appears there.
func (w *world) onTerminal(env ...string) *lockedBuffer {
	w.t.Helper()
	screen, line := terminal(w.t)
	seen := new(lockedBuffer)
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{"TERM=xterm", "NO_COLOR="}, env...), line, line
	w.process = startCommand(w.t, cmd)
	_ = line.Close()
	go func() {
		piece := make([]byte, 4096)
		for {
			n, err := screen.Read(piece)
			_, _ = seen.Write(piece[:n])
			if err != nil { // the gateway has ended
				return
			}
		}
	}()
	serving := regexp.MustCompile(`serving .*listen\S*?=(?:\x1b\[0m)?(\S+) .*admin=(?:\x1b\[0m)?(\S+)|"listen":"([^"]+)","admin":"([^"]+)"`)
	var found []string
	eventually(w.t, 60*time.Second, func() bool {
		found = serving.FindStringSubmatch(seen.String())
		return found != nil || w.gone()
	})
	if found == nil {
		w.t.Fatalf("wxgate did not start:\n%s", seen)
	}
	w.url = "http://" + found[1] + found[3]
	return seen
}

func TestALogOnATerminalIsInColumns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		env    string
		want   string
	}{
		"by itself":       {"", "", `\x1b\[2m\d\d:\d\d:\d\d\.\d\d\d\x1b\[0m \x1b\[33m401  \x1b\[0m GET     +[\d.]+ms  /api/x \x1b\[2mrequest_id=\x1b\[0m`},
		"without colours": {"", "NO_COLOR=1", `(?m)^\d\d:\d\d:\d\d\.\d\d\d 401   GET     +[\d.]+ms  /api/x request_id=`},
		"as the file has": {"log: { format: json }", "", `(?m)^{"time":.*"msg":"request"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.writeConfig(c.config)
			seen := w.onTerminal(c.env)
			w.want("no token", w.call("GET", "/api/x", "", ""), http.StatusUnauthorized, "token_missing")
			want := regexp.MustCompile(c.want)
			eventually(t, 20*time.Second, func() bool { return want.MatchString(seen.String()) })
			if coloured := strings.Contains(seen.String(), "\x1b["); coloured != (name == "by itself") || t.Failed() {
				t.Errorf("got\n%q\nwant %s", seen, c.want)
			}
		})
	}
}
