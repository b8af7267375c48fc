package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn/issuer/issuertest"
	"wxgate/examples/recipes"
	"wxgate/gateway/certificate/certificatetest"
	"wxgate/upstream/upstreamtest"
)

// busyWorld is a gateway that uses everything that has series: TLS, backups, services, issuers, quotas, WebSockets.
type busyWorld struct {
	*world
	admins    issuertest.Key // signs tokens of the issuer admin
	ca        string         // a file with the authority of the admin listener
	authority *x509.CertPool
	operator  *http.Client
	out       string // an upstream without a service
}

// newBusyWorld starts one with a section metrics.
func newBusyWorld(t *testing.T, metrics string) *busyWorld {
	t.Helper()
	w := &busyWorld{world: newWorld(t), admins: issuertest.NewKey(t, "of-admins", "EdDSA")}
	w.service.Config.Handler = withSocket(recipes.New())
	w.out = strings.TrimPrefix(upstreamtest.Refused(t), "http://")
	cert, key := w.certify()
	keys := issuertest.NewServer(t, false, w.admins)
	w.writeConfig(`  - { path: /quota/**, upstream: recipes, rate_limit: { per: user, quota: 1000/day, quota_name: ai } }
  - { path: /seldom/**, upstream: recipes, auth: none, rate_limit: { per: ip, rate: 1/h, burst: 1 } }
  - { path: /socket, upstream: recipes, auth: none }
  - { path: /out/**, upstream: out, auth: none }
  - { path: /admin/**, upstream: recipes, strip_prefix: /admin, issuer: admin }
authn: { issuers: [ { name: admin, iss: ` + adminIss + `, jwks: ` + keys.URL + `/jwks.json, algorithms: [EdDSA], aud: admin-api, headers: { X-Admin-Id: sub } } ] }
metrics: ` + metrics + "\n")
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf(`admin: "127.0.0.1:0", admin_token: %q, admin_tls: { cert: %q, key: %q }, services: [ { name: recipes, token: %q, may: [counters] } ]`, adminToken, cert, key, serviceToken))
	w.rewrite("upstreams:\n", "upstreams:\n  out: { targets: [ \"http://"+w.out+"\" ], breaker: { min_requests: 1000000 } }\n")
	w.rewrite("accept_ephemeral: true }", fmt.Sprintf("accept_ephemeral: true }, backup: { every: 1h, dir: %q }", filepath.Join(w.dir, "backup")))
	w.serve()
	w.admin = "https" + strings.TrimPrefix(w.admin, "http")
	return w
}

// certify makes the certificate of the admin listener.
func (w *busyWorld) certify() (cert, key string) {
	w.t.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		w.t.Fatal(err)
	}
	cert, key, w.ca = filepath.Join(w.dir, "admin.pem"), filepath.Join(w.dir, "admin.key"), filepath.Join(w.dir, "authority.pem")
	if err := authority.IssueTo(cert, key, certificatetest.Leaf{Names: []string{"admin.test"}}); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.ca, authority.PEM(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.authority = authority.Pool()
	w.operator = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.authority, ServerName: "admin.test"},
	}}
	w.t.Cleanup(w.operator.CloseIdleConnections)
	return cert, key
}

// withSocket is a service that has a WebSocket, too.
func withSocket(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/socket" {
			next.ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptOf(r.Header.Get("Sec-WebSocket-Key")))
		_, _ = io.Copy(io.Discard, conn)
	})
}

// ask asks the admin listener with a token.
func (w *busyWorld) ask(path, token, accept string) (status int, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.admin+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := w.operator.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// say sends bytes to the gateway and reads the first line of the answer.
func (w *busyWorld) say(raw string) (line string) {
	w.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		w.t.Fatal(err)
	}
	line, err = bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// visit makes each kind of traffic as one person, so that every series has something to show. Their paths are their own.
func (w *busyWorld) visit(person string) {
	w.t.Helper()
	token := w.login(person)
	refusals := map[string]func() answer{
		"wx_code_invalid":  func() answer { return w.loginWith("err-40029") },
		"token_malformed":  func() answer { return w.call("GET", "/api/v1/recipes", person, "") },
		"token_missing":    func() answer { return w.call("GET", "/api/v1/recipes", "", "") },
		"no_route":         func() answer { return w.call("GET", "/"+person, "", "", "User-Agent", person) },
		"upstream_connect": func() answer { return w.call("GET", "/out/"+person, "", "") },
	}
	for reason, ask := range refusals {
		if got := ask(); got.json["reason"] != reason {
			w.t.Errorf("%s got %d %s, want %s", person, got.status, got.body, reason)
		}
	}
	for _, path := range []string{"/api/v1/recipes", "/api/v1/recipes/" + person, "/api/v1/user/profile", "/quota/" + person} {
		if got := w.call("GET", path, token, "", "Referer", "https://"+person+".example.com/"); got.status >= 500 || got.status == http.StatusUnauthorized {
			w.t.Errorf("%s got %d %s from %s", person, got.status, got.body, path)
		}
	}
	w.want("refreshing", w.call("POST", "/api/v1/auth/refresh", token, ""), http.StatusOK, "")
	w.call("GET", "/seldom/"+person, "", "")
	w.want("too often", w.call("GET", "/seldom/"+person, "", ""), http.StatusTooManyRequests, "rate_limited")
	admin := w.admins.Sign(w.t, issuertest.Claims(adminIss, "admin-api", person, nil))
	if got := w.call("GET", "/admin/"+person, admin, ""); got.status == http.StatusUnauthorized {
		w.t.Errorf("an administrator got %s", got.body)
	}
	if got := w.say("GET /socket?of=" + url.QueryEscape(person) + " HTTP/1.1\r\nHost: a\r\n" + upgradeFields + "\r\n"); got != "HTTP/1.1 101 Switching Protocols" {
		w.t.Errorf("a WebSocket got %s", got)
	}
	if got := w.say(person + " /\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		w.t.Errorf("what is no request got %s", got)
	}
	if status, body := w.ask("/api/users/1/counters", serviceToken, ""); status == http.StatusUnauthorized {
		w.t.Errorf("the service got %d %s", status, body)
	}
}

// family is what a scrape shows of the series of one name.
type family struct {
	kind   string
	labels []string
}

func (f family) String() string { return f.kind + " of " + strings.Join(f.labels, ",") }

var (
	typeLine   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	seriesLine = regexp.MustCompile(`^([a-z0-9_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
)

// familiesOf reads the text format.
func familiesOf(t *testing.T, text string) map[string]family {
	t.Helper()
	all := map[string]family{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if found := typeLine.FindStringSubmatch(line); found != nil {
			all[found[1]] = family{kind: found[2]}
			continue
		}
		found := seriesLine.FindStringSubmatch(line)
		if strings.HasPrefix(line, "#") || found == nil {
			continue
		}
		name := found[1]
		if _, known := all[name]; !known {
			name = strings.SplitN(strings.SplitN(line, "{", 2)[0], " ", 2)[0] // a counter called …_count
		}
		f, known := all[name]
		if !known {
			t.Errorf("the line %s is of no family", line)
		}
		f.labels = nil
		for _, label := range labelName.FindAllStringSubmatch(found[2], -1) {
			if label[1] != "le" && label[1] != "quantile" {
				f.labels = append(f.labels, label[1])
			}
		}
		slices.Sort(f.labels)
		all[name] = f
	}
	return all
}

// documentedFamilies are the rows of docs/metrics.md.
func documentedFamilies(t *testing.T) map[string]family {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]family{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (counter|gauge|histogram|summary) \\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		if _, twice := all[row[1]]; twice {
			t.Errorf("docs/metrics.md has two rows of %s", row[1])
		}
		f := family{kind: row[2]}
		for _, label := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[3], -1) {
			f.labels = append(f.labels, label[1])
		}
		slices.Sort(f.labels)
		all[row[1]] = f
	}
	return all
}

// TestTheManualHasWhatTheBinaryShows, with their types and labels, and nothing else; and no name that stands in the code is
// missing in either.
func TestTheManualHasWhatTheBinaryShows(t *testing.T) {
	t.Parallel()
	w := newBusyWorld(t, "{}")
	w.visit("alice")
	_, scrape := w.ask("/metrics", adminToken, "")
	shown := familiesOf(t, scrape)
	onDatabase := newWorld(t)
	_, dsn := newDatabase(t)
	onDatabase.onDatabase(dsn)
	onDatabase.serve()
	onDatabase.login("alice")
	maps.Copy(shown, familiesOf(t, onDatabase.metrics()))
	documented := documentedFamilies(t)
	for name, f := range shown {
		if said, found := documented[name]; !found || said.String() != f.String() {
			t.Errorf("docs/metrics.md has %s as %v, want %v", name, said, f)
		}
	}
	for name := range documented {
		if _, found := shown[name]; !found {
			t.Errorf("docs/metrics.md has %s, which no scrape shows", name)
		}
	}
	inCode := namesInCode(t)
	if len(inCode) < 60 {
		t.Fatalf("found %d names of series in the code: the test reads it wrongly", len(inCode))
	}
	for name, at := range inCode {
		if _, found := shown[name]; !found {
			t.Errorf("%s: %s is in no scrape: make traffic that shows it", at, name)
		}
	}
}

// TestOpenMetricsHasEachFamilyOnce, as its readers want it (OpenMetrics 1.0 §4.4); that of Prometheus does not mind.
func TestOpenMetricsHasEachFamilyOnce(t *testing.T) {
	t.Parallel()
	w := newBusyWorld(t, "{}")
	w.visit("alice")
	_, scrape := w.ask("/metrics", adminToken, "application/openmetrics-text;version=1.0.0")
	seen := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(scrape, -1) {
		if seen[found[1]] {
			t.Errorf("there are two families %s", found[1])
		}
		seen[found[1]] = true
	}
	if len(seen) < 100 || !strings.HasSuffix(scrape, "# EOF\n") {
		t.Errorf("there are %d families, and the end is %q", len(seen), scrape[max(0, len(scrape)-20):])
	}
}

// namesInCode are the names of series in the product's files that import client_golang, with their places: the field Name of
// its options and the first argument of a call. Only a parameter that is called name may stand for one.
func namesInCode(t *testing.T) map[string]string {
	t.Helper()
	names, files := map[string]string{}, token.NewFileSet()
	collect := func(of ast.Expr, must bool) {
		literal, ok := of.(*ast.BasicLit)
		if parameter, named := of.(*ast.Ident); must && !ok && !(named && parameter.Name == "name") {
			t.Errorf("%v: the name of a series is no literal, so that no test finds it", files.Position(of.Pos()))
		}
		if ok && strings.HasPrefix(literal.Value, `"wxgate_`) {
			names[strings.Trim(literal.Value, `"`)] = files.Position(of.Pos()).String()
		}
	}
	for path := range productFiles(t) {
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool {
			return i.Path.Value == `"github.com/prometheus/client_golang/prometheus"`
		}) {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if len(n.Args) > 0 {
					collect(n.Args[0], isOfPrometheus(n.Fun, "NewDesc"))
				}
			case *ast.CompositeLit:
				for _, field := range n.Elts {
					if pair, ok := field.(*ast.KeyValueExpr); ok && isOfPrometheus(n.Type, "Opts") {
						if key, ok := pair.Key.(*ast.Ident); ok && (key.Name == "Namespace" || key.Name == "Subsystem") {
							t.Errorf("%v: write names whole", files.Position(key.Pos()))
						} else if ok && key.Name == "Name" {
							collect(pair.Value, true)
						}
					}
				}
			}
			return true
		})
	}
	return names
}

// isOfPrometheus reports whether an expression is prometheus.…suffix.
func isOfPrometheus(e ast.Expr, suffix string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && of.Name == "prometheus" && strings.HasSuffix(selector.Sel.Name, suffix)
}

// productFiles are the Go files of what is in the binary.
func productFiles(t *testing.T) iter.Seq[string] {
	t.Helper()
	return func(yield func(string) bool) {
		err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
			apart := []string{"e2e", "bench", "scripts", "examples", "node_modules", "testdata"}
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (slices.Contains(apart, entry.Name()) || path != ".." && strings.HasPrefix(entry.Name(), ".")):
				return fs.SkipDir
			case !entry.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !yield(path):
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSeriesDoNotGrowWithUsersAndPaths: after the first visit, others with paths, headers and methods of their own add none.
func TestSeriesDoNotGrowWithUsersAndPaths(t *testing.T) {
	t.Parallel()
	w := newBusyWorld(t, "{}")
	series := func() (names []string) {
		_, text := w.ask("/metrics", adminToken, "")
		for line := range strings.Lines(text) {
			if name, _, found := strings.Cut(line, "} "); found && !strings.HasPrefix(line, "go_") {
				names = append(names, name)
			}
		}
		return names
	}
	w.visit("alice")
	w.visit("bob") // whose login is the second request of its kind
	series()       // which counts for itself
	before := series()
	for i := range 40 {
		w.visit(fmt.Sprint("person-", i))
	}
	added := slices.DeleteFunc(series(), func(name string) bool { return slices.Contains(before, name) })
	if len(added) > 0 {
		t.Errorf("40 more users added %d series to %d:\n%s", len(added), len(before), strings.Join(added, "\n"))
	}
}
