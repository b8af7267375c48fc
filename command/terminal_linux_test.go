package command

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a program on it.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu    sync.Mutex
	shown bytes.Buffer
}

// onTerminal starts a program in a folder, on a terminal of its own.
func onTerminal(t *testing.T, dir string, environment []string, name string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 200})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, master: master, cmd: exec.CommandContext(t.Context(), name, args...)}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), environment...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	go p.read()
	return p
}

// read collects what the terminal shows until the program has left it.
func (p *terminal) read() {
	piece := make([]byte, 4096)
	for {
		n, err := p.master.Read(piece)
		p.mu.Lock()
		p.shown.Write(piece[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.ReplaceAll(p.shown.String(), "\x07", "") // without the bell
}

// waits until the terminal has shown a text so many times.
func (p *terminal) waits(text string, times int) {
	p.t.Helper()
	p.until(fmt.Sprintf("%q %d times", text, times), func(shown string) bool { return strings.Count(shown, text) >= times })
}

// until waits for what the terminal shows.
func (p *terminal) until(what string, holds func(shown string) bool) {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds(p.text()) {
		if <-tick.C; time.Now().After(deadline) {
			p.t.Fatalf("the terminal does not show %s:\n%q", what, p.text())
		}
	}
}

func (p *terminal) types(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// TestInitOnATerminal answers as a person does, wrongly once, and corrects a character.
func TestInitOnATerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := onTerminal(t, dir, []string{"LC_ALL=zh_CN.UTF-8"}, filepath.Join(program(t), "wxgate"), "init")
	p.waits("AppID", 1)
	p.types("wx12\r")
	p.waits("请重新输入", 1)
	p.waits("AppID", 2)
	p.types("wx1234567890abcdeg\x7ff\r")
	p.waits("你的服务的地址", 1)
	p.types("\r")
	p.waits("哪些路径需要登录", 1)
	p.types("\r")
	p.waits("手机最先连到什么", 1)
	p.types("cloudrun\r")
	p.waits("wxgate serve", 1)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.text())
	}
	if cfg := wantClean(t, filepath.Join(dir, "gateway.yaml")); cfg.WeChat.AppID != "wx1234567890abcdef" || !cfg.WeChat.CloudRun {
		t.Errorf("got %+v", cfg.WeChat)
	}
}

// TestCtrlCEndsTheQuestions of init, with nothing written.
func TestCtrlCEndsTheQuestions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := onTerminal(t, dir, []string{"LC_ALL=C"}, filepath.Join(program(t), "wxgate"), "init")
	p.waits("AppID", 1)
	p.types("\x03")
	p.waits("nothing is written", 1)
	if err := p.cmd.Wait(); err == nil {
		t.Error("the exit code is 0")
	}
	if _, err := os.Stat(filepath.Join(dir, "gateway.yaml")); err == nil {
		t.Error("a file was written")
	}
}

// TestColorsAreForTerminals compares a terminal with NO_COLOR, with --color and with a pipe.
func TestColorsAreForTerminals(t *testing.T) {
	t.Parallel()
	dir, wxgate := t.TempDir(), filepath.Join(program(t), "wxgate")
	for _, row := range []struct {
		env  string
		args []string
		want bool
	}{
		{"TERM=xterm", nil, true},
		{"NO_COLOR=1", nil, false},
		{"TERM=dumb", nil, false},
		{"TERM=xterm", []string{"--color", "never"}, false},
		{"NO_COLOR=1", []string{"--color", "always"}, true},
	} {
		p := onTerminal(t, dir, []string{"TERM=xterm", "NO_COLOR=", row.env}, wxgate, append(row.args, "check")...)
		p.waits("no such file", 1)
		_ = p.cmd.Wait()
		if got := strings.Contains(p.text(), "\x1b["); got != row.want {
			t.Errorf("%s %v: colors %v, want %v: %q", row.env, row.args, got, row.want, p.text())
		}
	}
	cmd := exec.CommandContext(t.Context(), wxgate, "check")
	cmd.Dir = dir
	if out, _ := cmd.CombinedOutput(); !strings.HasPrefix(string(out), "wxgate: ") {
		t.Errorf("a pipe gets %q", out)
	}
}

// slowGateway is the admin API of a gateway with a million users. What it is asked for takes until enough is closed.
type slowGateway struct {
	enough  chan struct{}
	counted atomic.Int64 // how often users were
}

// goesOn reports whether there is more to do, after a while.
func (g *slowGateway) goesOn() bool {
	select {
	case <-g.enough:
		return false
	case <-time.After(5 * time.Millisecond):
		return true
	}
}

func (g *slowGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	more := r.URL.Path == "/api/users/count" || g.goesOn()
	switch r.URL.Path {
	case "/api/users/count":
		g.counted.Add(1)
		_, _ = io.WriteString(w, `{"data":{"users":1000000}}`)
	case "/api/users/export":
		for ; more; more = g.goesOn() {
			_, _ = io.WriteString(w, userLines(200))
			_ = http.NewResponseController(w).Flush()
		}
	case "/api/users/resync":
		_, _ = fmt.Fprintf(w, `{"data":{"told":190,"refused":[1,2,3,4,5,6,7,8,9,10],"next":%s}}`, map[bool]string{true: "200", false: "null"}[more])
	case "/api/store/reseal":
		_, _ = fmt.Fprintf(w, `{"data":{"seen":200,"sealed":200,"unreadable":0,"share":0.25,"done":%v}}`, !more)
	}
}

// TestLongCommandsShowTheirShareAndTheTimeLeftOnATerminal where the whole can be known.
func TestLongCommandsShowTheirShareAndTheTimeLeftOnATerminal(t *testing.T) {
	t.Parallel()
	wxgate := filepath.Join(program(t), "wxgate")
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"users", "export", "users.jsonl"}, `\[#*-+\] +\d+%  \d+ users, \d+/s, \S+ left`},
		{[]string{"users", "export", "users.csv"}, `\[#*-+\] +\d+%  \d+ users, \d+/s, \S+ left`},
		{[]string{"users", "resync"}, `\[#*-+\] +\d+%  \d+ users, \d+/s, \S+ left`},
		{[]string{"users", "resync", "--after", "7"}, `\r\d+ users, \d+/s`},
		{[]string{"store", "reseal"}, `\[#{7}-+\]  25%  200 secrets, \d+/s, \S+ left`},
	} {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			t.Parallel()
			gateway := &slowGateway{enough: make(chan struct{})}
			server := httptest.NewServer(gateway)
			t.Cleanup(server.Close)
			dir, want := t.TempDir(), regexp.MustCompile(row.want)
			if err := os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte("server: { admin: "+server.Listener.Addr().String()+" }\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := onTerminal(t, dir, nil, wxgate, row.args...)
			p.until(row.want, want.MatchString)
			close(gateway.enough)
			_ = p.cmd.Wait() // some users were refused
		})
	}
}

// TestNobodyCountsForAProgressThatIsNotShown: it takes the gateway a moment.
func TestNobodyCountsForAProgressThatIsNotShown(t *testing.T) {
	t.Parallel()
	gateway := &slowGateway{enough: make(chan struct{})}
	close(gateway.enough)
	server := httptest.NewServer(gateway)
	t.Cleanup(server.Close)
	w := &env{stdout: io.Discard, stderr: io.Discard}
	client := &adminClient{address: server.Listener.Addr().String(), stderr: io.Discard, timeout: time.Minute}
	_ = usersExportCommand{quiet: quiet{true}}.Run(t.Context(), w, client)
	_ = usersResyncCommand{quiet: quiet{true}}.Run(t.Context(), w, client)
	_ = usersResyncCommand{output: output{JSON: true}}.Run(t.Context(), w, client)
	if n := gateway.counted.Load(); n != 0 {
		t.Errorf("users were counted %d times, want never", n)
	}
	_ = usersExportCommand{}.Run(t.Context(), w, client)
	_ = usersResyncCommand{}.Run(t.Context(), w, client)
	if n := gateway.counted.Load(); n != 2 {
		t.Errorf("users were counted %d times, want twice", n)
	}
}

// TestZshCompletesAtTheTabKey types into the real zsh.
func TestZshCompletesAtTheTabKey(t *testing.T) {
	t.Parallel()
	if os.Getenv("WXGATE_SHELLS") == "" {
		t.Skip("make long WHAT=completion runs it")
	}
	bin, dir := program(t), shellFolder(t)
	p := onTerminal(t, dir, []string{"HOME=" + dir, "TERM=dumb", "PATH=" + bin + ":" + os.Getenv("PATH")}, "zsh", "-f", "-i")
	p.types("autoload -Uz compinit; compinit -u -D; source <(wxgate completion zsh); LISTMAX=1000\n")
	p.types("print loa''ded\n")
	p.waits("loaded", 1)
	p.types("wxgate che\t")
	p.waits("wxgate check", 1) // it adds what is missing
	p.types("\x15wxgate users un\t")
	p.waits("unlink  -- Make a user", 1) // it lists what it may be
}
