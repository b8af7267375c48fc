package dashboard

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"wxgate/gateway/answer"
)

// Overview is what the page shows of this moment, whichever part of it is looked at: it stays small however many routes there are.
// Counts are those since the start of the process.
type Overview struct {
	Version      string        `json:"version"`
	StartedAt    answer.Time   `json:"started_at"`
	Now          answer.Time   `json:"now"`
	Ready        Ready         `json:"ready"`
	Traffic      Traffic       `json:"traffic"`
	Reasons      []Reason      `json:"reasons"` // for which the gateway refused requests, the most frequent first
	Slowest      []RouteState  `json:"slowest"` // of the routes with requests, by their p99
	Upstreams    []Upstream    `json:"upstreams"`
	Logins       []Result      `json:"logins"`
	WeChat       []WeChat      `json:"wechat"`
	Refreshes    []Result      `json:"refreshes"`
	Storage      Storage       `json:"storage"`
	Backup       Backup        `json:"backup"`
	Certificates []Certificate `json:"certificates"` // the first to end first
	ReloadedAt   time.Time     `json:"reloaded_at"`  // that of the newest of the Reloads: with another one, the Configuration is another
}

// Routes are the routes in force at the moment of an overview.
type Routes struct {
	StartedAt answer.Time  `json:"started_at"`
	Now       answer.Time  `json:"now"`
	Routes    []RouteState `json:"routes"`
}

// Configuration is the configuration in force, and how it came to be.
type Configuration struct {
	Config

	Reloads []Reload `json:"reloads"` // the newest first
}

// Ready is what /readyz says.
type Ready struct {
	OK  bool    `json:"ok"`
	But []Fault `json:"but"`
}

// Traffic are the requests of all clients.
type Traffic struct {
	Requests    float64   `json:"requests"`
	Errors      float64   `json:"errors"` // answered with a 5xx
	InFlight    float64   `json:"in_flight"`
	Connections float64   `json:"connections"`
	Latency     Histogram `json:"latency"`  // until the head of the answer
	Overhead    Histogram `json:"overhead"` // our own part of it, of forwarded requests
	Upstream    Histogram `json:"upstream"` // the part of services
}

// Reason counts the requests that were refused for it.
type Reason struct {
	Reason string  `json:"reason"`
	Status int     `json:"status"`
	Count  float64 `json:"count"`
}

// Route is a route of the configuration in force, or one of our endpoints.
type Route struct {
	Path    string   `json:"path"`
	Host    string   `json:"host"`    // empty: any
	Methods []string `json:"methods"` // none: all
	Auth    string   `json:"auth"`
	To      string   `json:"to"` // the upstream, "wxgate" or "respond"
}

// RouteState is a route with what is known of its requests.
type RouteState struct {
	Route

	Requests float64   `json:"requests"`
	Errors   float64   `json:"errors"`  // answered with a 5xx
	Latency  Histogram `json:"latency"` // of all methods of the path
}

// Upstream is a service.
type Upstream struct {
	Name        string   `json:"name"`
	BreakerOpen bool     `json:"breaker_open"`
	Queue       float64  `json:"queue"` // requests that wait for a connection
	Targets     []Target `json:"targets"`
}

// Target is an address of a service.
type Target struct {
	URL            string  `json:"url"`
	Up             bool    `json:"up"`
	InFlight       float64 `json:"in_flight"`
	LatencySeconds float64 `json:"latency_seconds"`
	Ejections      float64 `json:"ejections"`
}

// Result counts what ended so.
type Result struct {
	Result string  `json:"result"`
	Count  float64 `json:"count"`
}

// WeChat counts calls of an API of WeChat.
type WeChat struct {
	API     string  `json:"api"`
	ErrCode string  `json:"errcode"` // "0": success; words are failures without an errcode
	Count   float64 `json:"count"`
}

// Storage is the store.
type Storage struct {
	Driver   string  `json:"driver"`
	Place    string  `json:"place"` // a folder, or the database without the password
	Bytes    float64 `json:"bytes"` // on the disk; 0: not known, as of a database
	Writable bool    `json:"writable"`
}

// Backup is storage.backup.
type Backup struct {
	EverySeconds float64 `json:"every_seconds"` // 0: off
	Last         string  `json:"last"`          // when the newest began; empty: there is none
	Failures     float64 `json:"failures"`
}

// Certificate is one that a listener serves.
type Certificate struct {
	Name      string `json:"name"`
	Cert      string `json:"cert"`       // its file, or acme
	ExpiresAt string `json:"expires_at"` // empty: none was issued yet
}

// Config is the configuration in force.
type Config struct {
	File string `json:"file"` // empty: it was read from none
	YAML string `json:"yaml"` // of every key, with secrets masked
}

// Reload is an attempt to take a configuration over; the start is the first.
type Reload struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error"`
}

// Process is what the process knows of itself, and no metric tells.
type Process struct {
	Version     string
	StartedAt   time.Time
	Driver      string // of the store
	Place       string // of the store
	BackupEvery time.Duration
	Config      Config
	Reloads     []Reload // the newest first
}

// Source is where an Overview comes from.
type Source struct {
	Metrics prometheus.Gatherer
	Process func() Process
	Routes  func() []Route // of the configuration in force; never called twice at once
	Health  func() Health
	Now     func() time.Time
}

// Health is whether the process and its store can do their work.
type Health struct {
	Ready    Ready
	Writable bool // the store takes writes
}

// How old an overview may be. Any number of open pages cost what one does, and where making one takes long, as with thousands of
// routes, it is made less often.
const (
	overviewEvery = time.Second
	overviewShare = 150             // making it takes no more than this part of the time
	overviewLimit = 6 * time.Second // the plots of the page have a gap where readings are more than ten seconds apart
)

// slowestRoutes is how many routes an overview names.
const slowestRoutes = 5

// Overviews makes overviews, at most one a second. It is safe for concurrent use.
type Overviews struct {
	from Source

	mu     sync.Mutex
	last   *Overview
	routes []RouteState  // at the moment of the last
	made   time.Time     // when the last was
	keep   time.Duration // how old it may become
}

// NewOverviews returns a maker of overviews.
func NewOverviews(from Source) *Overviews { return &Overviews{from: from} }

// Last returns the newest overview, which nobody changes.
func (o *Overviews) Last() *Overview {
	last, _ := o.newest()
	return last
}

// Routes returns the routes at the moment of the newest overview. Nobody changes them.
func (o *Overviews) Routes() Routes {
	last, routes := o.newest()
	return Routes{last.StartedAt, last.Now, routes}
}

// Configuration returns the configuration in force.
func (o *Overviews) Configuration() Configuration {
	process := o.from.Process()
	return Configuration{process.Config, process.Reloads}
}

func (o *Overviews) newest() (*Overview, []RouteState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.from.Now(); o.last == nil || now.Sub(o.made) >= o.keep || now.Before(o.made) {
		health := o.from.Health()
		began := o.from.Now()
		o.last, o.routes = newOverview(o.from, health, now)
		o.made = o.from.Now() // a store that is slow to answer is not asked by each of those who wait here, one after another
		o.keep = min(max(overviewEvery, overviewShare*o.made.Sub(began)), overviewLimit)
	}
	return o.last, o.routes
}

func newOverview(from Source, health Health, now time.Time) (*Overview, []RouteState) {
	f, process := gather(from.Metrics), from.Process()
	routes := f.routes(from.Routes())
	overview := &Overview{
		Version: process.Version, StartedAt: answer.Time{Time: process.StartedAt}, Now: answer.Time{Time: now}, Ready: health.Ready,
		Traffic: f.traffic(), Reasons: f.reasons(), Slowest: slowest(routes), Upstreams: f.upstreams(),
		Logins: f.results("wxgate_authn_logins_total"), WeChat: f.weChat(), Refreshes: f.results("wxgate_authn_refreshes_total"),
		Storage:      Storage{process.Driver, process.Place, f.sum("wxgate_storage_bytes"), health.Writable},
		Backup:       Backup{process.BackupEvery.Seconds(), timeOf(f.sum("wxgate_backup_last_success_timestamp_seconds")), f.sum("wxgate_backup_failures_total")},
		Certificates: f.certificates(),
	}
	if len(process.Reloads) > 0 {
		overview.ReloadedAt = process.Reloads[0].At
	}
	return overview, routes
}

// slowest are the routes with the highest p99.
func slowest(routes []RouteState) []RouteState {
	asked := []RouteState{}
	for _, r := range routes {
		if r.Requests > 0 && r.Latency.Count > 0 {
			asked = append(asked, r)
		}
	}
	slices.SortStableFunc(asked, func(a, b RouteState) int { return cmp.Compare(b.Latency.quantile(0.99), a.Latency.quantile(0.99)) })
	return asked[:min(len(asked), slowestRoutes)]
}

// timeOf is a time of a metric, which is in Unix seconds; 0: there is none.
func timeOf(seconds float64) string {
	if seconds == 0 {
		return ""
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}

// requestsTotal are the requests by route, method, code, source and reason.
const requestsTotal = "wxgate_requests_total"

// failed reports whether requests were answered with a 5xx.
func failed(m *dto.Metric) bool { return strings.HasPrefix(label(m, "code"), "5") }

func (f families) traffic() Traffic {
	t := Traffic{
		InFlight: f.sum("wxgate_requests_in_flight"), Connections: f.sum("wxgate_connections"),
		Latency: f.histogram("wxgate_request_duration_seconds"), Overhead: f.histogram("wxgate_overhead_seconds"),
		Upstream: f.histogram("wxgate_upstream_request_duration_seconds"),
	}
	for _, m := range f[requestsTotal] {
		t.Requests += valueOf(m)
		if failed(m) {
			t.Errors += valueOf(m)
		}
	}
	return t
}

func (f families) reasons() []Reason {
	all := []Reason{}
	for key, count := range f.sumBy(requestsTotal, "reason", "code") {
		reason, code, _ := strings.Cut(key, "\x00")
		if reason == "" || count == 0 {
			continue
		}
		status, _ := strconv.Atoi(code) // it is one of ours
		all = append(all, Reason{reason, status, count})
	}
	slices.SortFunc(all, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Status, b.Status))
	})
	return all
}

// routes counts the requests of each: those with a method that a route of the same path names are its own.
func (f families) routes(routes []Route) []RouteState {
	states := make([]RouteState, len(routes))
	byPattern := map[string][]*RouteState{}
	for i, r := range routes {
		pattern := r.Host + r.Path
		states[i] = RouteState{Route: r, Latency: Histogram{Buckets: []Bucket{}}}
		byPattern[pattern] = append(byPattern[pattern], &states[i])
	}
	for _, m := range f[requestsTotal] {
		state := ofMethod(byPattern[label(m, "route")], label(m, "method"))
		if state == nil {
			continue
		}
		state.Requests += valueOf(m)
		if failed(m) {
			state.Errors += valueOf(m)
		}
	}
	for _, m := range f["wxgate_request_duration_seconds"] {
		for _, state := range byPattern[label(m, "route")] {
			state.Latency.add(m.GetHistogram())
		}
	}
	return states
}

// ofMethod is the route that serves a method, nil without one.
func ofMethod(routes []*RouteState, method string) (others *RouteState) {
	for _, r := range routes {
		switch {
		case slices.Contains(r.Methods, method):
			return r
		case len(r.Methods) == 0:
			others = r
		}
	}
	return others
}

func (f families) upstreams() []Upstream {
	all := map[string]*Upstream{}
	of := func(m *dto.Metric) *Upstream {
		name := label(m, "upstream")
		if all[name] == nil {
			all[name] = &Upstream{Name: name, Targets: []Target{}}
		}
		return all[name]
	}
	for _, m := range f["wxgate_upstream_breaker_open"] {
		of(m).BreakerOpen = valueOf(m) != 0
	}
	for _, m := range f["wxgate_upstream_queue_length"] {
		of(m).Queue = valueOf(m)
	}
	inFlight := f.sumBy("wxgate_upstream_in_flight", "upstream", "target")
	latency := f.sumBy("wxgate_upstream_latency_seconds", "upstream", "target")
	ejections := f.sumBy("wxgate_upstream_ejections_total", "upstream", "target")
	for _, m := range f["wxgate_upstream_up"] {
		u, key := of(m), keyOf(m, []string{"upstream", "target"})
		u.Targets = append(u.Targets, Target{label(m, "target"), valueOf(m) != 0, inFlight[key], latency[key], ejections[key]})
	}
	sorted := make([]Upstream, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, *all[name])
	}
	return sorted
}

func (f families) results(name string) []Result {
	all := []Result{}
	for _, m := range f[name] {
		all = append(all, Result{label(m, "result"), valueOf(m)})
	}
	return all
}

// weChat counts the calls of every API that was called.
func (f families) weChat() []WeChat {
	all := []WeChat{}
	for _, m := range f["wxgate_wechat_requests_total"] {
		if count := valueOf(m); count > 0 {
			all = append(all, WeChat{label(m, "api"), label(m, "errcode"), count})
		}
	}
	return all
}

func (f families) certificates() []Certificate {
	all := []Certificate{}
	for _, m := range f["wxgate_tls_certificate_expiry_timestamp_seconds"] {
		all = append(all, Certificate{label(m, "name"), label(m, "cert"), timeOf(valueOf(m))})
	}
	slices.SortFunc(all, func(a, b Certificate) int {
		return cmp.Or(cmp.Compare(a.ExpiresAt, b.ExpiresAt), cmp.Compare(a.Name, b.Name))
	})
	return all
}
