package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAFailureOfTheGoTestsDoesNotHideTheOthers runs `make test` and .ci/run with tools that only say that they were
// called.
func TestAFailureOfTheGoTestsDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fails, says string }{
		{"go test", "FAILED: test-go"}, {"npm test", "FAILED: test-miniprogram"}, {"golangci run", "FAILED: make lint"}, {"nothing", ""},
	} {
		t.Run(c.fails, func(t *testing.T) {
			t.Parallel()
			dir := toolsThatFail(t, c.fails)
			cmd := exec.Command(filepath.Join(dir, ".ci", "run"))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "tools")+":"+os.Getenv("PATH"), "MAKEFLAGS=", "MAKELEVEL=")
			got, err := cmd.CombinedOutput()
			for _, tool := range []string{"go test", "npm test", "golangci run"} {
				if !strings.Contains(string(got), "called: "+tool) {
					t.Errorf("%s was not called:\n%s", tool, got)
				}
			}
			if (err == nil) != (c.says == "") || !strings.Contains(string(got), c.says) {
				t.Errorf("got %v, want %q in\n%s", err, c.says, got)
			}
		})
	}
}

// toolsThatFail is a copy of what runs the tests, with tools of which one fails.
func toolsThatFail(t *testing.T, fails string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put := func(name, text string) {
		t.Helper()
		writeProgram(t, filepath.Join(dir, name), text)
	}
	for _, name := range []string{"Makefile", ".ci/run", "gateway/admin/dashboard/page/package-lock.json"} {
		put(name, readPage(t, name))
	}
	tool := func(name, file string) {
		put(file, "#!/bin/sh\necho called: "+name+" \"$@\"\n[ \""+name+" $1\" != '"+fails+"' ]\n")
	}
	tool("go", "tools/go")
	tool("npm", "tools/npm")
	_, version, _ := strings.Cut(readPage(t, "Makefile"), "GOLANGCI_VERSION := ")
	version, _, _ = strings.Cut(version, "\n")
	tool("golangci", ".cache/bin/golangci-lint-"+version)
	put("miniprogram/scripts/prepare.sh", "#!/bin/sh\n")
	put("scripts/mariadb.sh", "#!/bin/sh\n")
	put("gateway/admin/dashboard/page/node_modules/.installed", "")
	put("scripts/prometheus.sh", "#!/bin/sh\n")
	return dir
}

// TestAMachineWithoutAptIsToldWhatToInstall runs what `make test` begins with on a Mac and on Fedora, which lack everything.
func TestAMachineWithoutAptIsToldWhatToInstall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ system, has, script, says string }{
		{"Darwin", "", "scripts/mariadb.sh", "mariadb-server is missing: brew install mariadb"},
		{"Linux", "dnf", "scripts/mariadb.sh", "mariadb-server is missing: dnf install mariadb-server"},
		{"Linux", "apt-get", "scripts/mariadb.sh", "mariadb-server is missing: apt-get install --no-install-recommends mariadb-server"},
		{"Linux", "", "scripts/mariadb.sh", "mariadb-server is missing: apt-get install --no-install-recommends mariadb-server (Debian), dnf install mariadb-server (Fedora)"},
		{"Darwin", "mariadbd", "scripts/mariadb.sh galera", "galera-4 is missing: there is none for macOS: use a Linux machine"},
		{"Darwin", "prometheus", "scripts/prometheus.sh", "prometheus is missing: brew install prometheus"},
		{"Darwin", "", "miniprogram/scripts/prepare.sh", "Node.js 20 is missing: brew install node"},
		{"Darwin", "node npm", "miniprogram/scripts/prepare.sh", "chromium is missing: brew install --cask google-chrome"},
		{"Linux", "node npm dnf", "miniprogram/scripts/prepare.sh", "chromium is missing: dnf install chromium"},
	} {
		t.Run(c.system+" with "+c.has+": "+c.script, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, name := range []string{"scripts/install.sh", "scripts/mariadb.sh", "scripts/prometheus.sh", "miniprogram/scripts/prepare.sh"} {
				text := readPage(t, name)
				for _, real := range []string{"/usr/sbin", "/usr/lib/", "/usr/lib64/"} {
					text = strings.ReplaceAll(text, real, dir+"/nothing/") // where this machine has what the other lacks
				}
				writeProgram(t, filepath.Join(dir, name), text)
			}
			tools := filepath.Join(dir, "tools")
			writeProgram(t, filepath.Join(tools, "uname"), "#!/bin/sh\necho "+c.system+"\n")
			writeProgram(t, filepath.Join(tools, "id"), "#!/bin/sh\necho 501\n")
			writeProgram(t, filepath.Join(tools, "dirname"), "#!/bin/sh\necho \"${1%/*}\"\n")
			for name := range strings.FieldsSeq(c.has) {
				writeProgram(t, filepath.Join(tools, name), "#!/bin/sh\n[ \"$1\" = -e ]\n") // node: new enough, and finds no browser
			}
			script, args, _ := strings.Cut(c.script, " ")
			cmd := exec.Command("/bin/sh", append([]string{filepath.Join(dir, script)}, strings.Fields(args)...)...)
			cmd.Env = []string{"PATH=" + tools}
			got, err := cmd.CombinedOutput()
			if line, _, _ := strings.Cut(string(got), "\n"); err == nil || !strings.HasSuffix(line, ": "+c.says) || strings.Count(string(got), "\n") != 1 {
				t.Errorf("got %v and\n%s\nwant one line that ends in %q", err, got, c.says)
			}
		})
	}
}

func writeProgram(t *testing.T, file, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}
