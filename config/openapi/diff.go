package openapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"wxgate/gateway"
	"wxgate/gateway/route"
)

// Difference is what a configuration and a document do not agree on.
type Difference struct {
	Kind    DifferenceKind
	Methods []string // empty: all
	Path    string
	Auth    gateway.AuthMode // as the document has it; empty for an extra route
	Detail  string
}

// DifferenceKind is what is different.
type DifferenceKind string

// The kinds of differences, the gravest first.
const (
	Opener  DifferenceKind = "too open" // a route asks for less than the document does
	Differs DifferenceKind = "differs"  // a route asks for more, or leads elsewhere
	Missing DifferenceKind = "missing"  // no route matches
	Extra   DifferenceKind = "extra"    // a route for nothing that is in the document
)

// Diff compares what the routes of a configuration do with what the document says: routes that are grouped in another
// way are no difference.
func (p *Plan) Diff(present []gateway.RouteConfig, upstream string) []Difference {
	d := &differ{plan: p, present: present, upstream: upstream, reached: map[int]bool{}}
	d.planned, d.hosts, d.found = p.table(), hostsOf(present, upstream), presentTable(present)
	for _, op := range p.operations {
		d.compare(op)
	}
	for _, r := range p.Routes {
		d.reach(r.Methods, r.pattern)
	}
	for i, r := range present {
		if r.Upstream == upstream && !d.reached[i] {
			d.all = append(d.all, Difference{Extra, r.Methods, r.Host + r.Path, "", fmt.Sprintf("routes[%d]: the document has no such operation", i)})
		}
	}
	slices.SortStableFunc(d.all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Kind.rank(), b.Kind.rank()), cmp.Compare(a.Path, b.Path))
	})
	return d.all
}

func (k DifferenceKind) rank() int {
	return slices.Index([]DifferenceKind{Opener, Differs, Missing, Extra}, k)
}

type differ struct {
	plan     *Plan
	planned  *route.Table[int]
	present  []gateway.RouteConfig
	found    *route.Table[int]
	hosts    []string
	upstream string
	reached  map[int]bool // routes of the configuration that a request of the document meets
	all      []Difference
	groups   map[string]int // index in all
}

// hostsOf are the hosts of the routes of an upstream, as a request could have them.
func hostsOf(routes []gateway.RouteConfig, upstream string) (hosts []string) {
	for _, r := range routes {
		host := strings.Replace(r.Host, "*", "any", 1)
		if r.Upstream == upstream && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	return hosts
}

func presentTable(present []gateway.RouteConfig) *route.Table[int] {
	t := route.NewTable(func(a, b int) bool { return present[a].Auth.StricterThan(present[b].Auth) })
	for i, r := range present {
		pattern, _ := route.ParsePattern(r.Path) // the configuration is valid
		host, _ := route.ParseHost(r.Host)
		for _, method := range route.MethodsOrAny(r.Methods) {
			t.Of(host).Add(pattern, method, i)
		}
	}
	return t
}

// compare looks for the route of an operation on every host where the service has one. It is missing only if none has.
func (d *differ) compare(op *operation) {
	missing := true
	for _, host := range d.hosts {
		i, ok := d.found.Find([]byte(host), op.method, op.pattern.Example())
		if !ok {
			continue
		}
		missing, d.reached[i] = false, true
		switch r := d.present[i]; {
		case r.Upstream != d.upstream:
			d.report(op, Differs, fmt.Sprintf("routes[%d] (%s) leads to %s", i, r.Host+r.Path, cmp.Or(r.Upstream, "a fixed answer")))
		case op.auth.StricterThan(r.Auth) && r.Auth != gateway.AuthPrefetch:
			d.report(op, Opener, fmt.Sprintf("routes[%d] (%s) is %s", i, r.Host+r.Path, r.Auth))
		case r.Auth != op.auth && r.Auth != gateway.AuthPrefetch:
			d.report(op, Differs, fmt.Sprintf("routes[%d] (%s) is %s", i, r.Host+r.Path, r.Auth))
		}
	}
	if missing {
		d.report(op, Missing, "no route matches")
	}
}

// report adds a difference of an operation, or adds its method to one of the same path. What is missing is named by the
// route that would be written for it.
func (d *differ) report(op *operation, kind DifferenceKind, detail string) {
	path, methods := op.written, []string{op.method}
	if i, ok := d.planned.Find(nil, op.method, op.pattern.Example()); ok && kind == Missing && d.plan.Routes[i].Operations > 0 {
		path, methods = d.plan.Routes[i].Path, d.plan.Routes[i].Methods
	}
	key := strings.Join([]string{string(kind), path, string(op.auth), detail}, "\n")
	if at, again := d.groups[key]; again {
		for _, method := range methods {
			if !slices.Contains(d.all[at].Methods, method) {
				d.all[at].Methods = append(slices.Clip(d.all[at].Methods), method)
			}
		}
		return
	}
	if d.groups == nil {
		d.groups = map[string]int{}
	}
	d.groups[key] = len(d.all)
	d.all = append(d.all, Difference{kind, methods, path, op.auth, detail})
}

// reach marks the routes of the configuration that a planned one corresponds to.
func (d *differ) reach(methods []string, p route.Pattern) {
	for _, method := range route.MethodsOrAny(methods) {
		for _, host := range d.hosts {
			if i, ok := d.found.Find([]byte(host), method, p.Example()); ok {
				d.reached[i] = true
			}
		}
	}
}
