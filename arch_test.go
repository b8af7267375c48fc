package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// importTree says which packages of ours each package may import; tests may import more. A package whose row lacks what
// you need holds a type that belongs elsewhere: move the type, not the arrow.
func importTree() map[string][]string {
	return map[string][]string{
		".":                         {"command"},
		"command/cli":               {"input"},
		"command/completion":        {"command/cli"},
		"command/firstfile":         {"config", "config/audit", "config/strictyaml", "input"},
		"command/lesson":            {"command/cli"},
		"command/progress":          {},
		"command":                   {"command/cli", "command/completion", "command/firstfile", "command/lesson", "command/progress", "config/audit", "config/schema", "authn/issuer", "process", "config", "doctor", "prove", "config/openapi", "config/strictyaml", "input", "authn", "authn/token", "authn/wechat", "authn/wechat/sandbox", "gateway", "gateway/credential", "gateway/limit", "gateway/pay", "secret", "storage", "storage/backup", "storage/badger", "storage/mysql", "upstream", "examples/recipes", "miniprogram/demo", "gateway/admin"},
		"config/audit":              {"config", "config/strictyaml", "gateway", "gateway/limit", "input", "secret", "storage", "storage/backup", "storage/badger"},
		"doctor":                    {"config/audit", "authn", "authn/issuer", "authn/token", "authn/wechat", "config", "gateway/certificate/acme", "storage", "storage/backup", "storage/badger", "storage/mysql", "upstream", "upstream/http1"},
		"prove":                     {"gateway", "gateway/answer", "gateway/proof", "input", "secret"},
		"process":                   {"histogram", "config/audit", "authn/issuer", "process/handover", "lograte", "gateway/accesslog", "gateway/certificate", "gateway/certificate/acme", "config", "config/strictyaml", "input", "authn", "authn/wechat", "gateway", "gateway/listen", "gateway/push", "outbox", "secret", "storage", "storage/backup", "storage/badger", "storage/mysql", "upstream", "gateway/admin", "gateway/admin/dashboard", "tracing"},
		"config":                    {"histogram", "config/strictyaml", "input", "authn", "authn/token", "authn/wechat", "gateway", "gateway/answer", "gateway/limit", "secret", "storage", "storage/mysql", "upstream", "tracing"},
		"gateway":                   {"histogram", "authn/issuer", "breaker", "message", "gateway/accesslog", "gateway/answer", "gateway/certificate", "gateway/certificate/acme", "gateway/compress", "gateway/cors", "gateway/credential", "gateway/header", "gateway/limit", "gateway/listen", "gateway/once", "gateway/proof", "gateway/quota", "gateway/route", "gateway/stream", "gateway/websocket", "gateway/wire", "input", "lograte", "secret", "authn", "authn/token", "authn/wechat", "storage", "upstream", "upstream/http1", "gateway/admin", "gateway/admin/dashboard", "gateway/api", "gateway/apidoc", "gateway/pay", "gateway/push", "tracing", "tracing/span"},
		"gateway/accesslog":         {"lograte"},
		"gateway/answer":            {"message", "authn", "authn/issuer", "authn/token", "authn/wechat", "breaker", "storage", "upstream/http1", "input", "upstream"},
		"gateway/certificate":       {"input", "secret"},
		"gateway/certificate/acme":  {"gateway/certificate", "storage"},
		"gateway/once":              {"message", "storage"},
		"gateway/push":              {"tracing/span", "lograte", "message", "storage", "gateway/answer", "gateway/once", "authn/wechat", "upstream"},
		"gateway/pay":               {"message", "gateway/answer", "gateway/header", "gateway/once", "input", "lograte", "secret", "upstream", "upstream/http1"},
		"gateway/limit":             {"input"},
		"gateway/quota":             {"input", "lograte", "storage"},
		"gateway/proof":             {"secret"},
		"gateway/admin":             {"gateway/admin/dashboard", "gateway/answer", "gateway/apidoc", "gateway/quota", "authn", "authn/wechat", "input", "lograte", "secret", "storage", "storage/backup"},
		"gateway/admin/dashboard":   {"gateway/answer"},
		"gateway/apidoc":            {"gateway/answer"},
		"gateway/apidoc/apidoctest": {},
		"gateway/api":               {"message", "gateway/answer", "gateway/credential", "gateway/header", "authn", "authn/token", "authn/wechat", "input", "storage"},
		"gateway/compress":          {"message"},
		"gateway/cors":              {"message", "input"},
		"gateway/credential":        {"message", "authn/token", "gateway/header"},
		"gateway/header":            {"message"},
		"gateway/route":             {},
		"gateway/websocket":         {"message", "gateway/limit", "gateway/listen", "upstream/http1"},
		"gateway/listen":            {"message", "socket", "gateway/limit", "gateway/wire"},
		"gateway/stream":            {"message", "gateway/listen", "gateway/wire"},
		"gateway/wire":              {"message"},
		"gateway/wire/wiretest":     {"message", "gateway/wire"},
		"authn":                     {"histogram", "authn/issuer", "authn/revocation", "authn/token", "authn/wechat", "breaker", "input", "lograte", "secret", "storage"},
		"outbox":                    {"authn", "lograte", "message", "storage", "upstream"},
		"authn/issuer":              {"authn/token", "input", "lograte", "secret"},
		"authn/issuer/issuertest":   {},
		"authn/revocation":          {"storage"},
		"authn/token":               {"input", "secret"},
		"authn/wechat":              {"histogram", "tracing/span", "secret", "input"},
		"authn/wechat/sandbox":      {"authn/wechat", "secret"},
		"upstream":                  {"histogram", "tracing/span", "breaker", "message", "socket", "upstream/http1", "input"},
		"upstream/http1":            {"message", "socket", "input"},
		"upstream/upstreamtest":     {"message"},
		"storage":                   {"histogram", "tracing/span", "input", "secret"},
		"storage/backup":            {"secret", "storage", "storage/badger/disk"},
		"storage/badger":            {"secret", "storage", "storage/badger/disk"},
		"storage/badger/disk":       {"secret", "storage"},
		"storage/mysql":             {"input", "storage"},
		"storage/mysql/mysqltest":   {},
		"storage/storagetest":       {"storage"},
		"process/handover":          {},
		"tracing":                   {"input", "lograte", "tracing/otlp"},
		"tracing/otlp":              {},
		"tracing/span":              {"message"},
		"tracing/tracingtest":       {},
		"breaker":                   {},
		"message":                   {},
		"socket":                    {},
		"lograte":                   {},
		"config/openapi":            {"config/strictyaml", "gateway", "gateway/route", "input"},
		"config/schema":             {},
		"config/strictyaml":         {"input"},
		"histogram":                 {},
		"input":                     {},
		"secret":                    {},
		"scripts/acceptance":        {},
		"scripts/schema":            {"authn/issuer", "config", "gateway", "gateway/answer", "gateway/cors", "gateway/limit", "gateway/quota", "input", "storage", "upstream"},
		"scripts/house":             {},
		"scripts/release":           {},
		"examples/recipes":          {},
		"examples/recipes/serve":    {"examples/recipes"},
		"miniprogram/demo":          {},
		"miniprogram/tests/sandbox": {"authn/wechat/sandbox", "examples/recipes", "miniprogram/demo"},
		"e2e":                       {"..."},
		"bench":                     {"bench/contestants", "bench/load", "bench/proc", "bench/report", "bench/service", "bench/tokens", "authn/wechat/sandbox", "gateway/certificate/certificatetest", "secret", "storage", "storage/badger"},
		"bench/contestants":         {"bench/proc", "bench/tokens"},
		"bench/contestants/stdlib":  {},
		"bench/epoll":               {},
		"bench/framing":             {},
		"bench/load":                {"bench/epoll", "bench/framing", "bench/proc"},
		"bench/proc":                {},
		"bench/report":              {},
		"bench/service":             {"bench/epoll", "bench/framing"},
		"bench/tokens":              {},

		"gateway/certificate/certificatetest": {},
		"gateway/stream/streamtest":           {},
	}
}

// ourPackage is what `go list` knows of one package, its imports without those of its tests.
type ourPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsFlowOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range ourPackages(t) {
		allowed, listed := importTree()[p.ImportPath]
		if !listed {
			t.Errorf("got package %s, want a row for it in importTree: what of ours may it import?", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if listed && !slices.Contains(allowed, imported) && !slices.Contains(allowed, "...") {
				t.Errorf("got %s importing %s, want only %v of ours", p.ImportPath, imported, allowed)
			}
		}
	}
}

func TestDoublesStayOutOfTheBinary(t *testing.T) {
	t.Parallel()
	for _, p := range ourPackages(t) {
		for _, imported := range p.Imports {
			demo := p.ImportPath == "command" && path.Base(imported) == "sandbox"                  // wxgate demo is a feature
			if isDouble(imported) && !isDouble(p.ImportPath) && !demo && p.ImportPath != "bench" { // a binary of its own
				t.Errorf("got %s importing %s, want that in its _test.go files only", p.ImportPath, imported)
			}
		}
	}
}

func isDouble(importPath string) bool {
	name := path.Base(importPath)
	return name == "sandbox" || strings.HasSuffix(name, "test")
}

func TestFoldersAreNamedAfterThings(t *testing.T) {
	t.Parallel()
	nameless := []string{"internal", "pkg", "cmd", "common", "util", "utils", "models", "helpers"}
	err := filepath.WalkDir(".", func(folder string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir():
			return err
		case folder != "." && strings.HasPrefix(entry.Name(), "."), entry.Name() == "node_modules", entry.Name() == "dist":
			return fs.SkipDir
		case folder == "miniprogram/utils": // WeChat's own name for it, in every example and in DevTools
		case slices.Contains(nameless, entry.Name()):
			t.Errorf("got folder %s, want the noun for what it holds instead of one of %v", folder, nameless)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryExceptionNamesALinterThatRuns is about //nolint: one for a linter that is not enabled excuses nothing, and stays for ever.
func TestEveryExceptionNamesALinterThatRuns(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(".golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	named, found := regexp.MustCompile(`//nolint:([a-z,]+)`), 0
	err = filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(file) != ".go":
			return nil
		}
		text, err := os.ReadFile(file)
		for _, m := range named.FindAllSubmatch(text, -1) {
			for linter := range strings.SplitSeq(string(m[1]), ",") {
				found++
				if !regexp.MustCompile(`(?m)^    - ` + linter + `\b`).Match(config) {
					t.Errorf("%s excuses itself to %s, which does not run", file, linter)
				}
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d exceptions, %v", found, err)
	}
}

// TestTheFilesOfTheArchitectureExist holds what docs/architecture.md names: a file or folder that has moved is named there anew.
func TestTheFilesOfTheArchitectureExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([\\w./-]+(?:/|\\.(?:go|md|yaml)))`").FindAllSubmatch(page, -1)
	if len(named) < 40 {
		t.Errorf("docs/architecture.md names %d files and folders, want 40 or more", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(string(m[1])); err != nil {
			t.Errorf("docs/architecture.md: %v", err)
		}
	}
}

func TestEveryDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	reasons, err := os.ReadFile("docs/decisions/0001-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	modules := goList(t, "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all")
	for module := range strings.FieldsSeq(modules) {
		if !strings.Contains(string(reasons), module) {
			t.Errorf("docs/decisions/0001-dependencies.md does not say why %s is here", module)
		}
	}
}

func TestDependenciesAreNotBelowTheirFloor(t *testing.T) {
	t.Parallel()
	for module, floor := range map[string]string{
		"github.com/valyala/fasthttp":    "v1.74.0", // request smuggling fixed without a CVE in 1.70–1.74; fiber alone asks for 1.51
		"github.com/gofiber/fiber/v2":    "v2.52.15",
		"github.com/dgraph-io/badger/v4": "v4.9.4",  // below it compaction brings deleted sessions back
		"go.opentelemetry.io/otel":       "v1.42.0", // GO-2026-5158
	} {
		version := goList(t, "-m", "-f", "{{with .Replace}}replaced by {{.Path}} {{end}}{{.Version}}", module)
		if got := strings.TrimSpace(version); below(t, got, floor) {
			t.Errorf("got %s %s, want %s or later", module, got, floor)
		}
	}
}

// below compares vMAJOR.MINOR.PATCH; whatever else is written there is below everything.
func below(t *testing.T, version, floor string) bool {
	t.Helper()
	return slices.Compare(numbers(version), numbers(floor)) < 0
}

func numbers(version string) []int {
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return nil
	}
	return []int{major, minor, patch}
}

// ourPackages names packages by their folder, "." for the root, and keeps only imports of ours.
func ourPackages(t *testing.T) []ourPackage {
	t.Helper()
	var packages []ourPackage
	listed := json.NewDecoder(strings.NewReader(goList(t, "-e", "-json=ImportPath,Imports", "./...")))
	for {
		var p ourPackage
		if err := listed.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, ourPackage{folderOf(p.ImportPath), ours(p.Imports)})
	}
}

func ours(imports []string) []string {
	var folders []string
	for _, imported := range imports {
		if imported == "wxgate" || strings.HasPrefix(imported, "wxgate/") {
			folders = append(folders, folderOf(imported))
		}
	}
	return folders
}

func folderOf(importPath string) string {
	return path.Clean("./" + strings.TrimPrefix(importPath, "wxgate"))
}

func goList(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"list"}, arguments...)...)
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", arguments, err)
	}
	return string(output)
}
