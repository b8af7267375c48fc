package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program is a wxgate to be run by shells: this test, which TestMain turns into one.
func program(t *testing.T) (dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	script := "#!/bin/sh\nWXGATE_PROGRAM=1 exec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "wxgate"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shellRows are command lines of which the last word is completed, and what must be among the candidates and what not.
func shellRows() []struct{ line, has, lacks string } {
	return []struct{ line, has, lacks string }{
		{"wxgate che", "check", "serve"},
		{"wxgate users ", "import", "check"},
		{"wxgate users import --from", "--from-mysql", "--quiet"},
		{"wxgate check --fail-on ", "critical", "--json"},
		{"wxgate check --fail-on=crit", "critical", "warning"},
		{"wxgate check --ignore literal", "literal-secret", "open-route"},
		{"wxgate --color ne", "never", "always"},
		{"wxgate -c shop.yaml routes import api.json --upstream ", "goods", "check"},
		{"wxgate -c sho", "shop.yaml", "check"},
		{"wxgate restore ", "shop.yaml", "check"},
		{"wxgate explain PO", "POST", "GET"},
		{"wxgate keys new --algorithm=RS", "RS384", "HS256"},
		{"wxgate completion ", "fish", "check"},
		{"wxgate users show 44 ", "", "show"},
	}
}

// shellFolder is a folder of files to complete.
func shellFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := "upstreams: { goods: http://127.0.0.1:3000 }\nroutes: [ { path: /api/**, upstream: goods } ]\n"
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantCandidates compares the candidates of a shell; values may have the flag in front.
func wantCandidates(t *testing.T, line string, got []string, has, lacks string) {
	t.Helper()
	among := func(value string) bool {
		return slices.ContainsFunc(got, func(g string) bool { return g == value || strings.HasSuffix(g, "="+value) })
	}
	if has != "" && !among(has) || among(lacks) {
		t.Errorf("%q: got %q, want %q among it and not %q", line, got, has, lacks)
	}
}

// TestBashCompletesCommandLines asks the real bash, which splits words at "=".
func TestBashCompletesCommandLines(t *testing.T) {
	t.Parallel()
	bin, dir := program(t), shellFolder(t)
	for _, row := range shellRows() {
		// As readline does: the words of the line, of which the last is the one to complete.
		script := `eval "$(wxgate completion bash)"
line=$1
split=${line//=/ = }
read -ra COMP_WORDS <<< "$split"
[[ $split == *" " ]] && [[ $line != *= ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
complete -p wxgate >/dev/null || exit 1
_wxgate wxgate "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\n' "${COMPREPLY[@]}"`
		cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", script, "bash", row.line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%q: %v", row.line, err)
		}
		wantCandidates(t, row.line, strings.Split(strings.TrimSpace(string(out)), "\n"), row.has, row.lacks)
	}
}

// TestFishCompletesCommandLines asks the real fish.
func TestFishCompletesCommandLines(t *testing.T) {
	t.Parallel()
	if os.Getenv("WXGATE_SHELLS") == "" {
		t.Skip("make long WHAT=completion runs it")
	}
	bin, dir := program(t), shellFolder(t)
	for _, row := range shellRows() {
		cmd := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", "wxgate completion fish | source; complete -C $argv[1]", row.line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", row.line, err, out)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			value, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, value)
		}
		wantCandidates(t, row.line, got, row.has, row.lacks)
	}
}

// TestZshCompletesCommandLines asks the real zsh, with stand-ins for the parts of its completion that talk to a terminal.
func TestZshCompletesCommandLines(t *testing.T) {
	t.Parallel()
	if os.Getenv("WXGATE_SHELLS") == "" {
		t.Skip("make long WHAT=completion runs it")
	}
	bin, dir := program(t), shellFolder(t)
	const script = `compdef() { :; }
_describe() { local each; for each in ${(P)2}; do print -r -- ${${each//\\:/=}%%:*}; done; }
_files() { print -rl -- ${PREFIX}*(N); }
source <(wxgate completion zsh)
words=(${(z)1}); [[ $1 == *" " ]] && words+=("")
CURRENT=$#words; PREFIX=$words[CURRENT]
_wxgate`
	for _, row := range shellRows() {
		cmd := exec.CommandContext(t.Context(), "zsh", "-f", "-c", script, "zsh", row.line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", row.line, err, out)
		}
		wantCandidates(t, row.line, strings.Split(strings.TrimSpace(string(out)), "\n"), row.has, row.lacks)
	}
}
