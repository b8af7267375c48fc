package command

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/config"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/limit"
	"wxgate/input"
	"wxgate/process"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/mysql/mysqltest"
	"wxgate/upstream"
)

// manual are the pages that people read.
func manual(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir("docs", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks are the fenced blocks of a page in that language.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^ *```"+language+"\n(.*?)^ *```$").FindAllStringSubmatch(readPage(t, page), -1) {
		found = append(found, m[1])
	}
	return found
}

// tableRows are the table rows of a page whose first cell is one `code`, by that code; the other cells are trimmed.
func tableRows(t *testing.T, page string) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|$").FindAllStringSubmatch(readPage(t, page), -1) {
		var cells []string
		for cell := range strings.SplitSeq(m[2], "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows[m[1]] = cells
	}
	return rows
}

// manualEnv is the environment that README.md asks for.
func manualEnv(name string) (string, bool) {
	value, found := map[string]string{
		"WX_APPID": "wx1234567890abcdef", "WX_SECRET": "0123456789abcdef", "JWT_SECRET": "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA",
	}[name]
	return value, found
}

func TestTheMinimumOfTheReadmeIsAWholeConfiguration(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "README.zh.md"} {
		examples := blocks(t, page, "yaml")
		if len(examples) != 1 {
			t.Fatalf("%s has %d yaml blocks, want the minimum alone", page, len(examples))
		}
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, []byte(examples[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if cfg, err := config.Load(file, manualEnv); err != nil || len(cfg.Routes) != 1 || len(cfg.Authn.Keys) != 1 {
			t.Errorf("%s: got %d routes, %d keys and %v", page, len(cfg.Routes), len(cfg.Authn.Keys), err)
		}
	}
}

func TestTheReadmeOpensWithTheTwoCommands(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "README.zh.md"} {
		first := blocks(t, page, "sh")[0]
		if !strings.HasPrefix(first, "go run . demo ") || !strings.Contains(first, "\nmake test ") {
			t.Errorf("the first block of %s is\n%s\nwant `go run . demo` and `make test`", page, first)
		}
	}
}

// comments finds what is said beside the code of a block.
func comments() *regexp.Regexp { return regexp.MustCompile("(?m) +# (.*)$") }

// commandsOf are blocks of code without what their comments say.
func commandsOf(blocks []string) []string {
	var all []string
	for _, block := range blocks {
		all = append(all, comments().ReplaceAllString(block, " #"))
	}
	return all
}

func TestBothReadmesHaveTheSameCommands(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"sh", "yaml", "json", "text"} {
		english, chinese := commandsOf(blocks(t, "README.md", language)), commandsOf(blocks(t, "README.zh.md", language))
		if !slices.Equal(english, chinese) {
			t.Errorf("README.md has the %s blocks\n%q\nand README.zh.md\n%q", language, english, chinese)
		}
	}
	heading := regexp.MustCompile(`(?m)^#+ `)
	english, chinese := heading.FindAllString(readPage(t, "README.md"), -1), heading.FindAllString(readPage(t, "README.zh.md"), -1)
	if !slices.Equal(english, chinese) {
		t.Errorf("README.md has %d headings and README.zh.md %d, or of other levels", len(english), len(chinese))
	}
}

func TestTheChineseReadmeExplainsItsCommandsInChinese(t *testing.T) {
	t.Parallel()
	found := comments().FindAllStringSubmatch(strings.Join(blocks(t, "README.zh.md", "sh"), "\n"), -1)
	if len(found) < 6 {
		t.Fatalf("README.zh.md has the comments %q, want 6 or more", found)
	}
	for _, comment := range found {
		if !strings.ContainsFunc(comment[1], func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("README.zh.md has the comment %q, want it in Chinese", comment[1])
		}
	}
}

func TestCommandsOfTheManualExist(t *testing.T) {
	t.Parallel()
	var known []string
	for _, command := range testProgram(t).Children {
		known = append(known, command.Name)
	}
	named := regexp.MustCompile("(?m)(?:`|^|bin/|run --rm )wxgate (?:-c \\S+ )?([a-z]+)")
	for _, page := range manual(t) {
		for _, m := range named.FindAllStringSubmatch(inCode(readPage(t, page)), -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s names `wxgate %s`, want one of %v", page, m[1], known)
			}
		}
	}
}

func TestMakeTargetsOfTheManualExist(t *testing.T) {
	t.Parallel()
	makefile := readPage(t, "Makefile")
	for _, page := range manual(t) {
		for _, m := range regexp.MustCompile("(?m)(?:`|^)make ([a-z][a-z-]*)(?: WHAT=([a-z]+))?").FindAllStringSubmatch(inCode(readPage(t, page)), -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s names `make %s`, which the Makefile does not have", page, m[1])
			}
			if m[1] == "long" && m[2] != "" && !regexp.MustCompile(`(?m)^long_`+m[2]+` *:=`).MatchString(makefile) {
				t.Errorf("%s names `make long WHAT=%s`, which the Makefile does not have", page, m[2])
			}
		}
	}
}

// inCode is what a page has in fenced blocks and between backticks, a line each with its first backtick.
func inCode(page string) string {
	return strings.Join(regexp.MustCompile("(?ms)^ *```.*?^ *```$|`[^`\n]+`").FindAllString(page, -1), "\n")
}

func TestLinksOfTheManualLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range manual(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(readPage(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// TestNoPageSaysARowTwiceOrHoldsWhatAMergeLeft: docs/upgrading.md had both, after two branches had met in it.
func TestNoPageSaysARowTwiceOrHoldsWhatAMergeLeft(t *testing.T) {
	t.Parallel()
	left := regexp.MustCompile(`(?m)^(<{7}|>{7}|={7}$).*`)
	for _, page := range append(manual(t), "CHANGELOG.md") {
		text := readPage(t, page)
		if found := left.FindString(text); found != "" {
			t.Errorf("%s has a line that a merge left: %q", page, found)
		}
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "| ") && len(line) > 100 && seen[line] {
				t.Errorf("%s has a row twice: %s", page, line)
			}
			seen[line] = true
		}
	}
}

func TestEveryDecisionIsInItsList(t *testing.T) {
	t.Parallel()
	list := readPage(t, "docs/decisions/README.md")
	pages, err := filepath.Glob("docs/decisions/0*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("got %d decisions and %v", len(pages), err)
	}
	for _, page := range pages {
		if !strings.Contains(list, "]("+filepath.Base(page)+")") {
			t.Errorf("docs/decisions/README.md does not list %s", page)
		}
	}
}

func TestTheTestsOfTheSecurityChecklistExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(readPage(t, path), -1) {
			known[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	rows := 0
	for line := range strings.Lines(readPage(t, "docs/security.md")) {
		tests := named.FindAllStringSubmatch(line, -1)
		if isRow := strings.HasPrefix(line, "| ") && !strings.HasSuffix(line, "shown by |\n"); isRow {
			rows++
			if len(tests) == 0 {
				t.Errorf("docs/security.md names no test for %s", line)
			}
		}
		for _, m := range tests {
			if !known[m[1]] {
				t.Errorf("docs/security.md names %s, which is nowhere", m[1])
			}
		}
	}
	if rows < 40 {
		t.Errorf("docs/security.md has %d rows: the test reads it wrongly", rows)
	}
}

// keys are the keys that a file can set in value, with the value that each has when the file says nothing: those of a
// section are path.key, those of a list's elements path[].key, those of a map's entries path.<name>.key.
func keys(path string, value reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{path: value}
	switch {
	case isSection(value.Type()):
		delete(all, path)
		for i := range value.NumField() {
			name := value.Type().Field(i).Tag.Get("yaml")
			if !value.Type().Field(i).IsExported() || name == "-" { // no file can set it
				continue
			}
			maps.Copy(all, keys(strings.TrimPrefix(path+"."+name, "."), value.Field(i)))
		}
	case value.Kind() == reflect.Slice && isSection(value.Type().Elem()):
		maps.Copy(all, keys(path+"[]", entryOf(value.Type())))
	case value.Kind() == reflect.Map && isSection(value.Type().Elem()):
		maps.Copy(all, keys(path+".<name>", entryOf(value.Type())))
	}
	return all
}

// isSection tells a section from a struct that reads itself, such as a rate.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("yaml") != ""
}

// entryOf is what an entry of a list or a map is while the file says nothing in it.
func entryOf(t reflect.Type) reflect.Value {
	entry := reflect.New(t.Elem())
	if defaults, ok := entry.Interface().(interface{ SetDefaults() }); ok {
		defaults.SetDefaults()
	}
	return entry.Elem()
}

func TestTheManualHasEveryKeyAndItsDefault(t *testing.T) {
	t.Parallel()
	documented := tableRows(t, "docs/configuration.md")
	known := keys("", reflect.ValueOf(config.DefaultConfig()))
	for path, value := range known {
		cells := documented[path]
		if len(cells) != 3 {
			t.Errorf("docs/configuration.md has %d cells for %s, want type, default, meaning", len(cells), path)
			continue
		}
		if said := cells[1]; !isDefault(t, said, value) {
			t.Errorf("docs/configuration.md says %s for %s, which is %v", said, path, value)
		}
	}
	for path := range documented {
		if _, found := known[path]; !found && strings.ToUpper(path) != path { // variables of the environment are in capitals
			t.Errorf("docs/configuration.md explains %s, which no file can set", path)
		}
	}
}

// TestTheManualBoundsWhatOneClientCanHold holds the table of docs/security.md to the defaults, the error table, the
// metrics and the tests.
func TestTheManualBoundsWhatOneClientCanHold(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(readPage(t, "docs/security.md"), "## What one client can hold\n")
	known, reasons, series := keys("", reflect.ValueOf(config.DefaultConfig())), tableRows(t, "docs/api.md"), tableRows(t, "docs/metrics.md")
	code := regexp.MustCompile("`([^`]+)`")
	tests, judged := testNames(t), 0
	for _, row := range strings.Split(section, "\n| ")[1:] {
		row, _, _ = strings.Cut(row, "\n")
		cells := strings.Split(row, " | ")
		if len(cells) < 6 || cells[0] == "bound" {
			continue
		}
		if key := strings.Trim(cells[1], "` "); known[key].IsValid() && known[key].Kind() != reflect.Struct {
			said, _, _ := strings.Cut(cells[2], ",")
			if judged++; !isDefault(t, strings.Trim(said, "` "), known[key]) {
				t.Errorf("docs/security.md says %s for %s, which is %v", cells[2], key, known[key])
			}
		}
		if refused := regexp.MustCompile("^[45][0-9][0-9] `([a-z_]+)`").FindStringSubmatch(cells[3]); refused != nil && reasons[refused[1]] == nil {
			t.Errorf("docs/security.md names the reason %s, which docs/api.md does not have", refused[1])
		}
		for _, metric := range code.FindAllStringSubmatch(cells[4], -1) {
			if series[metric[1]] == nil {
				t.Errorf("docs/security.md names the metric %s, which docs/metrics.md does not have", metric[1])
			}
		}
		for _, test := range code.FindAllStringSubmatch(cells[5], -1) {
			if !tests[test[1]] {
				t.Errorf("docs/security.md names the test %s, which nobody has written", test[1])
			}
		}
	}
	for key := range known {
		bound := strings.HasPrefix(key, "limits.per_client.") || strings.HasPrefix(key, "server.connections.") || key == "limits.in_flight" || key == "limits.dials"
		if bound && !strings.Contains(section, "`"+key+"`") {
			t.Errorf("docs/security.md has no row for %s", key)
		}
	}
	if judged < 12 {
		t.Errorf("only %d defaults were compared", judged)
	}
}

// testNames are the names of all tests in Go.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names, declared := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, test := range declared.FindAllSubmatch(source, -1) {
			names[string(test[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// isDefault reports whether the text of a default means the value. A list or a map is compared with gateway.yaml
// instead.
func isDefault(t *testing.T, said string, value reflect.Value) bool {
	if value.Kind() == reflect.Map || value.Kind() == reflect.Slice {
		return true
	}
	if said == "none" || said == "required" {
		return value.IsZero()
	}
	file := filepath.Join(t.TempDir(), "default.yaml")
	if err := os.WriteFile(file, []byte("value: '"+strings.Trim(said, "`")+"'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	section := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Value", Type: value.Type(), Tag: `yaml:"value"`}}))
	_, err := strictyaml.Reader{Env: manualEnv}.Read(file, section.Interface(), func() input.Faults { return nil })
	return err == nil && reflect.DeepEqual(section.Elem().Field(0).Interface(), value.Interface())
}

func TestGatewayYAMLIsTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.Load("gateway.yaml", manualEnv)
	if err != nil {
		t.Fatal(err)
	}
	route, recipes := got.Routes[0], got.Upstreams["recipes"]
	got.WeChat.AppID, got.WeChat.Secret, got.Authn.Keys, got.Routes, got.Upstreams = "", "", nil, nil, nil // examples
	if len(got.Server.TrustedProxies) == 0 {
		got.Server.TrustedProxies = nil
	}
	if len(got.Server.WeChatGateway) == 0 {
		got.Server.WeChatGateway = nil
	}
	if len(got.WeChat.Apps) == 0 {
		got.WeChat.Apps = nil
	}
	if len(got.Authn.Issuers) == 0 {
		got.Authn.Issuers = nil
	}
	if len(got.Identity.Allow) == 0 {
		got.Identity.Allow = nil
	}
	if c := &got.Server.CORS; len(c.Origins)+len(c.Methods)+len(c.Headers)+len(c.Expose) == 0 {
		c.Origins, c.Methods, c.Headers, c.Expose = nil, nil, nil, nil
	}
	if len(got.Limits.IP.Allow)+len(got.Limits.IP.Deny) == 0 {
		got.Limits.IP = limit.AddressConfig{}
	}
	got.References = nil
	if want := config.DefaultConfig(); !reflect.DeepEqual(got, want) {
		t.Errorf("gateway.yaml says\n%+v\nwant the defaults\n%+v", got, want)
	}
	recipes.Targets = nil
	if want := upstream.DefaultConfig(); !reflect.DeepEqual(recipes, want) {
		t.Errorf("the upstream of gateway.yaml is\n%+v\nwant the defaults\n%+v", recipes, want)
	}
	route.Path, route.Upstream, route.Methods = "", "", nil
	for _, headers := range []*gateway.RouteHeaders{&route.Headers, &route.Response} {
		if len(headers.Set)+len(headers.Remove) == 0 {
			*headers = gateway.RouteHeaders{}
		}
	}
	want := gateway.RouteConfig{}
	want.SetDefaults()
	if !reflect.DeepEqual(route, want) {
		t.Errorf("the route of gateway.yaml is\n%+v\nwant the defaults\n%+v", route, want)
	}
}

func TestTheManualHasEveryMetric(t *testing.T) {
	t.Parallel()
	documented := tableRows(t, "docs/metrics.md")
	declared := declaredMetrics(t)
	for name, labels := range declared {
		cells := documented[name]
		if len(cells) != 3 {
			t.Errorf("docs/metrics.md has %d cells for %s, want type, labels, meaning", len(cells), name)
			continue
		}
		said := strings.NewReplacer("`", "", " ", "").Replace(cells[1])
		if said != labels {
			t.Errorf("docs/metrics.md gives %s the labels %q, want %q", name, said, labels)
		}
	}
	for name := range documented {
		if _, found := declared[name]; !found {
			t.Errorf("docs/metrics.md explains %s, which nothing counts", name)
		}
	}
}

// declaredMetrics are the names of all series of ours with their labels, comma-separated, also of those that have not
// counted anything yet, with each of the stores.
func declaredMetrics(t *testing.T) map[string]string {
	t.Helper()
	server, err := mysqltest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	dsn, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]string{}
	shape := regexp.MustCompile(`fqName: "([^"]*)".*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)
	for _, database := range []string{"", dsn} {
		descriptions := make(chan *prometheus.Desc)
		reg := wholeRegistry(t, database)
		go func() {
			defer close(descriptions)
			reg.Describe(descriptions)
		}()
		for d := range descriptions {
			if m := shape.FindStringSubmatch(d.String()); m != nil {
				constant := regexp.MustCompile(`="[^"]*"`).ReplaceAllString(m[2], "")
				declared[m[1]] = strings.Trim(constant+","+m[3], ",")
			}
		}
	}
	delete(declared, "go_memstats_alloc_bytes") // it is left out of every scrape: gateway/admin
	return declared
}

// wholeRegistry is the registry of a gateway that is put together as serve does it, with its store in a database, or in a
// folder if there is none.
func wholeRegistry(t *testing.T, dsn string) prometheus.Collector {
	t.Helper()
	cfg := demoConfig(t.TempDir(), "127.0.0.1:0", "http://127.0.0.1:1", "http://127.0.0.1:1")
	if dsn != "" {
		cfg.Storage.Driver, cfg.Storage.MySQL.DSN = storage.DriverMySQL, secret.Text(dsn)
		cfg.Storage.EncryptionKeys = storage.EncryptionKeys{"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="}
	}
	svc, err := process.Open(t.Context(), cfg, process.NewLogs(cfg.Log, process.NewLogQueue(io.Discard)), tourist)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	svc.FollowReloads(t.Context(), process.NewWatcher("gateway.yaml", func() (config.Config, error) { return cfg, nil }), cfg)
	return svc.Metrics
}
