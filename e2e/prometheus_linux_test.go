package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prometheusServer is a running Prometheus.
type prometheusServer struct {
	t      *testing.T
	url    string
	client *http.Client
}

var prometheusListens = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// startPrometheus starts one that scrapes gateways each second, with the rules of deploy/.
func startPrometheus(t *testing.T, features, targets string) *prometheusServer {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs("../deploy/prometheus/wxgate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [ " + rules + " ]\nscrape_configs:\n" + targets
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	output := new(lockedBuffer)
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0", "--enable-feature="+features)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs Prometheus, which scripts/prometheus.sh installs: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	var found []string
	eventually(t, 60*time.Second, func() bool {
		found = prometheusListens.FindStringSubmatch(output.String())
		return found != nil
	})
	p := &prometheusServer{t, "http://" + found[1], &http.Client{Timeout: 20 * time.Second, Transport: new(http.Transport)}}
	t.Cleanup(p.client.CloseIdleConnections)
	eventually(t, 60*time.Second, func() bool { // it answers before it can
		resp, err := p.client.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// job is a scrape config for the gateways of a busyWorld and of worlds without a token.
func (w *busyWorld) job(others ...*world) string {
	job := fmt.Sprintf(`  - job_name: wxgate
    scheme: https
    tls_config: { ca_file: %q, server_name: admin.test }
    authorization: { credentials: %q }
    static_configs: [ { targets: [ %q ] } ]
`, w.ca, adminToken, strings.TrimPrefix(w.admin, "https://"))
	for i, other := range others {
		job += fmt.Sprintf("  - job_name: other%d\n    static_configs: [ { targets: [ %q ] } ]\n    relabel_configs: [ { target_label: job, replacement: wxgate } ]\n", i, strings.TrimPrefix(other.admin, "http://"))
	}
	return job
}

// sample is one result of a query: a number or, of a native histogram, its count.
type sample struct {
	Metric    map[string]string `json:"metric"`
	Value     []any             `json:"value"`
	Histogram []any             `json:"histogram"`
}

// isFinite reports whether it is a number.
func (s sample) isFinite() bool {
	if len(s.Value) != 2 {
		return false
	}
	text, _ := s.Value[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	return err == nil && !math.IsNaN(value) && !math.IsInf(value, 0)
}

// get asks the API and decodes its data.
func (p *prometheusServer) get(path string, query url.Values, data any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path+"?"+query.Encode(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != "" {
		p.t.Fatalf("%s of %v: %v %s", path, query, err, answer.Error)
	}
}

func (p *prometheusServer) query(expr string) []sample {
	p.t.Helper()
	var data struct{ Result []sample }
	p.get("/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result
}

// board is what the tests read of deploy/grafana/wxgate.json.
type board struct {
	SchemaVersion int
	Panels        []boardPanel
	Templating    struct{ List []boardVariable }
	Annotations   struct{ List []struct{ Expr string } }
}

type boardPanel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct {
		RefID      string
		Expr       string
		Datasource struct{ UID string }
	}
}

type boardVariable struct {
	Name, Type string
	Query      any // of values, what Grafana asks is in the field query
}

func readBoard(t *testing.T) (b board) {
	t.Helper()
	text, err := os.ReadFile("../deploy/grafana/wxgate.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// queries are the expressions of a board as Grafana sends them with all variables at All.
func (b board) queries() map[string]bool {
	all := map[string]bool{}
	of := strings.NewReplacer("$__rate_interval", "30s", "$job", ".*", "$instance", ".*", "$route", ".*", "$upstream", ".*")
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			all[of.Replace(target.Expr)] = true
		}
	}
	for _, annotation := range b.Annotations.List {
		all[of.Replace(annotation.Expr)] = true
	}
	for _, v := range b.Templating.List {
		query, fromSeries := v.Query.(map[string]any)
		if found := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(fmt.Sprint(query["query"])); found != nil {
			all[fmt.Sprintf(`count by (%s) (%s)`, found[2], of.Replace(found[1]))] = true
		} else if fromSeries {
			all["the variable "+v.Name] = true // which Prometheus refuses
		}
	}
	return all
}

// TestEveryQueryOfTheBoardShowsSomething in a Prometheus that scrapes two gateways under traffic, one on a database.
func TestEveryQueryOfTheBoardShowsSomething(t *testing.T) {
	t.Parallel()
	w := newBusyWorld(t, "{}")
	onDatabase := newWorld(t)
	_, dsn := newDatabase(t)
	onDatabase.onDatabase(dsn)
	onDatabase.serve()
	p := startPrometheus(t, "exemplar-storage", w.job(onDatabase))
	eventually(t, 30*time.Second, func() bool { return len(p.query(`wxgate_authn_logins_total{result="wx_misconfigured"}`)) == 2 })
	w.loginWith("err-40013") // for an alert that fires at once
	empty := slices.Sorted(maps.Keys(readBoard(t).queries()))
	if len(empty) < 90 {
		t.Fatalf("the board has %d queries: the test reads it wrongly", len(empty))
	}
	for i, deadline := 0, time.Now().Add(60*time.Second); len(empty) > 0 && time.Now().Before(deadline); i++ {
		w.visit(fmt.Sprint("person-", i)) // of one person, WeChat takes few logins a minute
		empty = slices.DeleteFunc(empty, func(expr string) bool { return slices.ContainsFunc(p.query(expr), sample.isFinite) })
	}
	for _, expr := range empty {
		t.Errorf("nothing is shown by\n%s", expr)
	}
	p.alertsSay()
	p.hasExemplarsOf(w.output)
}

// alertsSay wants annotations whose templates have worked, and no rule that fails.
func (p *prometheusServer) alertsSay() {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
				Alerts                  []struct{ Annotations map[string]string }
			}
		}
	}
	p.get("/api/v1/rules", nil, &data)
	rules, alerts := 0, 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rules++; rule.Health != "ok" {
				p.t.Errorf("the rule %s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
			for _, alert := range rule.Alerts {
				alerts++
				if said := fmt.Sprint(alert.Annotations); strings.Contains(said, "{{") || strings.Contains(said, "error expanding") {
					p.t.Errorf("%s says %s", rule.Name, said)
				}
			}
		}
	}
	if rules < 50 || alerts == 0 {
		p.t.Errorf("there are %d rules and %d alerts, want all", rules, alerts)
	}
}

// hasExemplarsOf wants request IDs of the access log beside the durations of requests.
func (p *prometheusServer) hasExemplarsOf(log *lockedBuffer) {
	p.t.Helper()
	var data []struct {
		SeriesLabels map[string]string
		Exemplars    []struct{ Labels map[string]string }
	}
	now := time.Now()
	p.get("/api/v1/query_exemplars", url.Values{
		"query": {"wxgate_request_duration_seconds_bucket"},
		"start": {now.Add(-5 * time.Minute).Format(time.RFC3339)}, "end": {now.Add(time.Minute).Format(time.RFC3339)},
	}, &data)
	said := log.String()
	if len(data) == 0 {
		p.t.Error("there are no exemplars")
	}
	for _, series := range data {
		for _, exemplar := range series.Exemplars {
			if id := exemplar.Labels["request_id"]; !strings.Contains(said, `"request_id":"`+id+`"`) {
				p.t.Errorf("%v has an exemplar of %q, which is not in the access log", series.SeriesLabels, exemplar.Labels)
			}
		}
	}
}

// TestAPrometheusWithNativeHistogramsTakesAllOfThem, and the board shows as much of them.
func TestAPrometheusWithNativeHistogramsTakesAllOfThem(t *testing.T) {
	t.Parallel()
	w := newBusyWorld(t, "{ native_histograms: true }")
	p := startPrometheus(t, "exemplar-storage,native-histograms", w.job())
	var missing []string
	for name, f := range documentedFamilies(t) {
		if f.kind == "histogram" {
			missing = append(missing, name)
		}
	}
	if len(missing) < 6 {
		t.Fatalf("docs/metrics.md has the histograms %v: the test reads it wrongly", missing)
	}
	eventually(t, 30*time.Second, func() bool { return len(p.query(`wxgate_authn_logins_total{result="wx_misconfigured"}`)) == 1 })
	w.loginWith("err-40013")
	ofDatabase := regexp.MustCompile(`wxgate_(mysql|revocation_feed)_`)
	empty := slices.DeleteFunc(slices.Collect(maps.Keys(readBoard(t).queries())), ofDatabase.MatchString)
	isNative := func(s sample) bool { return s.Histogram != nil }
	for i, deadline := 0, time.Now().Add(60*time.Second); len(missing)+len(empty) > 0 && time.Now().Before(deadline); i++ {
		w.visit(fmt.Sprint("person-", i))
		missing = slices.DeleteFunc(missing, func(name string) bool { return slices.ContainsFunc(p.query(name), isNative) })
		empty = slices.DeleteFunc(empty, func(expr string) bool {
			shown := p.query(expr)
			return slices.ContainsFunc(shown, sample.isFinite) || slices.ContainsFunc(shown, isNative)
		})
	}
	if len(missing)+len(empty) > 0 {
		t.Errorf("not native are %v, and nothing is shown by\n%s", missing, strings.Join(empty, "\n"))
	}
	if classic := p.query(`{__name__=~"wxgate_.*_bucket"}`); len(classic) > 0 {
		t.Errorf("there are %d classic buckets too, so that the board was not tried on native ones", len(classic))
	}
}

// TestPromtoolHasNothingToSayOfTheMetrics.
func TestPromtoolHasNothingToSayOfTheMetrics(t *testing.T) {
	t.Parallel()
	w := newBusyWorld(t, "{}")
	w.visit("alice")
	_, text := w.ask("/metrics", adminToken, "")
	promtool(t, text, "check", "metrics")
}

// promtool runs a command of it, which must succeed.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = "../deploy/prometheus", strings.NewReader(stdin)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s (scripts/prometheus.sh installs it): %v\n%s", strings.Join(args, " "), err, output)
	}
}
