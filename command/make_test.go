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
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = os.WriteFile(file, []byte(text), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
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
	return dir
}
