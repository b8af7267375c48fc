package audit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/config"
	"wxgate/gateway/certificate/certificatetest"
	"wxgate/storage"
	"wxgate/storage/badger"
)

// fixtureEnv has secrets, certificates and folders for fixtures.
func fixtureEnv(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{
		"WX_APPID": "wx1234567890abcdef", "WX_SECRET": "0123456789abcdef", "JWT_SECRET": "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA",
		"ADMIN_TOKEN": "tSUWyo4uVvTDcKJDhQ1mZkPq", "APIV3_KEY": "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA", "APP_KEY": "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA",
		"HOOK_SECRET": "whsec_dFNVV3lvNHVWdlREY0tKRGhRMW1aa1BxM2I3eEU5ckE=", "SEALING_KEY": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=",
		"PUSH_TOKEN": "tSUWyo4uVvTDcKJDhQ1mZkPq", "PUSH_KEY": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
		"DIR": dir, "MEMORY": "/dev/shm/wxgate-audit",
	}
	put := func(name string, content []byte) {
		env[name] = filepath.Join(dir, strings.ToLower(name))
		must(t, os.WriteFile(env[name], content, 0o600))
	}
	put("FILE", nil)
	authority, err := certificatetest.NewAuthority()
	must(t, err)
	for prefix, leaf := range map[string]certificatetest.Leaf{
		"": {Names: []string{"api.example.com"}, Deep: true}, "LEAF_ONLY_": {Names: []string{"api.example.com"}, Deep: true, LeafOnly: true}, "NAMELESS_": {},
	} {
		chain, key, err := authority.Issue(leaf)
		must(t, err)
		put(strings.TrimSuffix(prefix+"CERT", "_CERT"), chain)
		put(prefix+"KEY", key)
	}
	put("PAY_CERT", platformCertificate(t))
	return env
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// platformCertificate is one of WeChat Pay's, from an hour ago for 90 days.
func platformCertificate(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	begin := time.Now().Add(-time.Hour)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: begin, NotAfter: begin.Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// found are the findings of one kind in a fixture as check prints them, without what differs from run to run. The line
// `#now DURATION` of a fixture is how far from now its time is.
func found(t *testing.T, fixture, id string, env map[string]string) (lines []string) {
	t.Helper()
	now := time.Now()
	if m := regexp.MustCompile(`(?m)^#now (\S+)$`).FindStringSubmatch(read(t, fixture)); m != nil {
		d, err := time.ParseDuration(m[1])
		must(t, err)
		now = now.Add(d)
	}
	cfg, origin, err := config.LoadWithFiles(fixture, func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err != nil {
		t.Fatalf("%s: %v", fixture, err)
	}
	for _, f := range Examine(cfg, origin, now) {
		if f.ID == id {
			lines = append(lines, steady(fmt.Sprintf("%s: %v", f.Severity, f.Fault), env))
		}
	}
	return lines
}

// steady is a line without dates, and with the names of variables instead of folders.
func steady(line string, env map[string]string) string {
	line = regexp.MustCompile(`\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?`).ReplaceAllString(line, "DATE")
	for _, name := range slices.Backward(slices.SortedFunc(maps.Keys(env), func(a, b string) int { return len(env[a]) - len(env[b]) })) {
		if strings.HasPrefix(env[name], "/") {
			line = strings.ReplaceAll(line, env[name], "${"+name+"}")
		}
	}
	return strings.ReplaceAll(line, "testdata/", "")
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	return string(text)
}

// TestEveryFindingIsProvokedByItsFixtureAndNotByTheNearMiss compares the findings of testdata/ID.yaml with its lines after
// "#= ", and wants none of that kind in testdata/ID-not.yaml.
func TestEveryFindingIsProvokedByItsFixtureAndNotByTheNearMiss(t *testing.T) {
	t.Parallel()
	env := fixtureEnv(t)
	for id := range Kinds() {
		if strings.HasSuffix(id, "-ephemeral") && !memoryIsMounted() {
			continue
		}
		fixture := filepath.Join("testdata", id+".yaml")
		var want []string
		for _, m := range regexp.MustCompile(`(?m)^#= (.*)$`).FindAllStringSubmatch(read(t, fixture), -1) {
			want = append(want, m[1])
		}
		if got := found(t, fixture, id, env); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: got\n%s\nwant\n%s", fixture, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got := found(t, filepath.Join("testdata", id+"-not.yaml"), id, env); len(got) > 0 {
			t.Errorf("%s-not.yaml: got %s, want nothing of the kind", id, got)
		}
	}
}

// memoryIsMounted reports whether /dev/shm is a file system in memory, as on Linux.
func memoryIsMounted() bool {
	return badger.CheckPlace(storage.Badger{Dir: "/dev/shm"}) != nil
}

// TestEveryWarningOfTheSourceIsAKind reads the ids that packages warn with.
func TestEveryWarningOfTheSourceIsAKind(t *testing.T) {
	t.Parallel()
	kinds, warned := Kinds(), map[string]bool{}
	call := regexp.MustCompile(`\b(?:Warn|warn)\("([a-z]+(?:-[a-z]+)+)", `)
	must(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range call.FindAllStringSubmatch(read(t, path), -1) {
			warned[m[1]] = true
			if kinds[m[1]] == "" {
				t.Errorf("%s warns of %s, which Kinds does not have", path, m[1])
			}
		}
		return nil
	}))
	for id := range kinds {
		if !warned[id] {
			t.Errorf("nothing warns of %s", id)
		}
	}
}

// TestTheManualHasEveryFinding holds the tables of both languages to Kinds.
func TestTheManualHasEveryFinding(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"../../docs/check.md", "../../docs/zh/check.md"} {
		documented := map[string]Severity{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (info|warning|critical) \\| .+ \\|$").FindAllStringSubmatch(read(t, page), -1) {
			documented[m[1]] = Severity(m[2])
		}
		if want := Kinds(); !maps.Equal(documented, want) {
			t.Errorf("%s has %v, want %v", page, documented, want)
		}
	}
}

// TestADatabaseKeepsWhatAnAuthorityIssues, so the folder may be anything.
func TestADatabaseKeepsWhatAnAuthorityIssues(t *testing.T) {
	t.Parallel()
	cfg := config.DefaultConfig()
	cfg.Server.TLS.ACME.Domains, cfg.Server.TLS.ACME.Cache = []string{"api.example.com"}, "/proc/acme"
	if UnwritableCache(cfg) == nil {
		t.Error("without a database: got no error")
	}
	cfg.Storage.Driver = storage.DriverMySQL
	if got := UnwritableCache(cfg); got != nil {
		t.Errorf("with a database: got %v, want no error", got)
	}
}

func TestOnlyNewFindingsAreToldAtAReload(t *testing.T) {
	t.Parallel()
	one, other := Finding{ID: "open-route"}, Finding{ID: "admin-public"}
	if got := Since([]Finding{one}, []Finding{one, other}); len(got) != 1 || got[0] != other {
		t.Errorf("got %v, want the other alone", got)
	}
}
