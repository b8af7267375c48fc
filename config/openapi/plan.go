package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/route"
)

// Plan are the routes for the operations of a document.
type Plan struct {
	Routes []PlannedRoute
	Notes  strictyaml.Faults // what could not be written as the document says it, and is stricter or left out

	operations []*operation
}

// PlannedRoute is a route, and how many operations of the document it is for; 0: it only keeps an open route from
// matching what the document protects.
type PlannedRoute struct {
	gateway.RouteConfig
	Operations int

	pattern route.Pattern
}

// operation is what the document says of a method of one shape of path.
type operation struct {
	template
	method string
	auth   gateway.AuthMode
	of     Operation // the first of those that it is made of
}

// Target is what routes lead to.
type Target struct {
	Upstream  string
	Prefix    string              // before all paths, removed before the service gets them; empty: none
	Endpoints []gateway.RouteInfo // of the gateway's own API, which no route may replace
}

// NewPlan makes routes of a document. Protected operations share a route for all methods and everything below their
// common path, so that 200 of them are a few lines. An open operation has a route of its own for exactly its path and
// methods. Where its :name would match a path that is protected, that path is spelled out beside it.
func NewPlan(doc Document, to Target) (Plan, error) {
	m := merger{to: to, known: map[string]*operation{}}
	for _, op := range doc.Operations {
		m.add(op)
	}
	m.protectHeads()
	m.protectHidden()
	p := Plan{Notes: m.notes, operations: m.all}
	p.Routes = append(groups(m.all), openRoutes(m.all)...)
	if err := p.spellOut(m.known); err != nil {
		return p, err
	}
	for i := range p.Routes {
		p.Routes[i].complete(to)
	}
	slices.SortStableFunc(p.Routes, func(a, b PlannedRoute) int {
		return cmp.Or(cmp.Compare(strings.TrimSuffix(a.Path, "/**"), strings.TrimSuffix(b.Path, "/**")),
			-cmp.Compare(len(a.Path), len(b.Path)), slices.Compare(a.Methods, b.Methods))
	})
	return p, p.verify()
}

// merger makes one operation of those that a gateway cannot tell apart.
type merger struct {
	to    Target
	known map[string]*operation // by method and shape
	all   []*operation
	notes strictyaml.Faults
}

func (m *merger) note(op Operation, format string, args ...any) {
	note := op.place
	note.Message = fmt.Sprintf(format, args...)
	m.notes = append(m.notes, note)
}

func (m *merger) add(op Operation) {
	t, err := templatePattern(m.to.Prefix + op.Template)
	if err != nil {
		m.note(op, "left out: %v", err) // it was read before, without the prefix
		return
	}
	if e := m.endpoint(op.Method, t); e != "" {
		m.note(op, "left out: the gateway answers %s %s itself", op.Method, e)
		return
	}
	next := &operation{t, op.Method, op.Auth, op}
	if next.auth != gateway.AuthRequired && !t.exact {
		m.note(op, "%s is written as required: %s would be open for more than this operation", next.auth, t.written)
		next.auth = gateway.AuthRequired
	}
	key := next.key()
	same, merged := m.known[key]
	if !merged {
		m.known[key] = next
		m.all = append(m.all, next)
		return
	}
	if same.auth != next.auth {
		m.note(op, "the gateway cannot tell it from the one on line %d; the stricter of %s and %s holds for both", same.of.place.Line, same.auth, next.auth)
	}
	same.hidden = same.hidden || next.hidden
	if next.auth.StricterThan(same.auth) {
		same.auth = next.auth
	}
}

// protectHeads makes HEAD of a path as strict as GET: services answer the one as they answer the other.
func (m *merger) protectHeads() {
	for _, head := range m.all {
		if get := m.known[http.MethodGet+" "+head.pattern.Shape()]; head.method == http.MethodHead && get != nil && get.auth.StricterThan(head.auth) {
			m.note(head.of, "%s is written as %s, as GET is: services answer HEAD as they answer GET", head.auth, get.auth)
			head.auth = get.auth
		}
	}
}

// protectHidden closes an open operation all of whose paths another may mean that is protected, in a segment that no
// pattern can spell: /b:c/** beside /{x} is /:b_c/**, which does not keep /:x from matching /b:c.
func (m *merger) protectHidden() {
	for _, open := range m.all {
		for _, strict := range m.all {
			if !strict.hidden || !strict.auth.StricterThan(open.auth) || !protects(strict.method, open.method) {
				continue
			}
			if both, ok := open.pattern.Intersect(strict.pattern); ok && both.SameShape(open.pattern) {
				m.note(open.of, "%s is written as %s: no route can tell it from the one on line %d", open.auth, strict.auth, strict.of.place.Line)
				open.auth = strict.auth
			}
		}
	}
}

func (m *merger) endpoint(method string, t template) string {
	for _, e := range m.to.Endpoints {
		p, err := route.ParsePattern(e.Path)
		if err == nil && p.WithoutLastSlash().SameShape(t.pattern) && (len(e.Methods) == 0 || slices.Contains(e.Methods, method)) {
			return e.Path
		}
	}
	return ""
}

func (o *operation) key() string { return o.method + " " + o.pattern.Shape() }

// openRoutes are the routes of operations that need no token, one for all methods of a path.
func openRoutes(all []*operation) []PlannedRoute {
	var open []*operation
	for _, op := range all {
		if op.auth != gateway.AuthRequired {
			open = append(open, op)
		}
	}
	return exactRoutes(open)
}

// exactRoutes are routes that say no more than the operations do.
func exactRoutes(ops []*operation) []PlannedRoute {
	type way struct {
		path string
		auth gateway.AuthMode
	}
	by := map[way]*PlannedRoute{}
	for _, op := range ops {
		w := way{op.written, op.auth}
		if by[w] == nil {
			by[w] = &PlannedRoute{RouteConfig: gateway.RouteConfig{Path: op.written, Auth: op.auth}, pattern: op.pattern}
		}
		by[w].Methods = append(by[w].Methods, op.method)
		by[w].Operations++
	}
	var routes []PlannedRoute
	for _, r := range by {
		slices.Sort(r.Methods)
		routes = append(routes, *r)
	}
	return routes
}

// complete fills in what all routes have.
func (r *PlannedRoute) complete(to Target) {
	r.Upstream, r.StripPrefix = to.Upstream, to.Prefix
}

// table are the planned routes as the gateway finds them.
func (p *Plan) table() *route.Table[int] {
	t := route.NewTable(func(a, b int) bool { return p.Routes[a].Auth.StricterThan(p.Routes[b].Auth) })
	for i, r := range p.Routes {
		p.enter(t, i, r)
	}
	return t
}

// enter adds a route to the table, as it is written: both endings of a path may be listed.
func (p *Plan) enter(t *route.Table[int], i int, r PlannedRoute) {
	pattern, _ := route.ParsePattern(r.Path) // made of one
	for _, method := range route.MethodsOrAny(r.Methods) {
		t.Of("").Add(pattern, method, i)
	}
}

// spellOut adds the routes that keep a :name of an open one from matching what is protected. Where two templates match
// a path, the more concrete one means it (OpenAPI 3.1 §4.8.8.1); if neither is, the path is protected.
func (p *Plan) spellOut(known map[string]*operation) error {
	found, added := p.table(), map[string]int{}
	for _, open := range p.operations {
		if open.auth == gateway.AuthRequired {
			continue
		}
		for _, strict := range p.operations {
			if !strict.auth.StricterThan(open.auth) || !protects(strict.method, open.method) {
				continue
			}
			both, ok := open.pattern.Intersect(strict.pattern)
			if !ok || both.SameShape(open.pattern) {
				continue
			}
			if other := known[open.method+" "+both.Shape()]; other != nil && other.auth != gateway.AuthRequired {
				continue // an operation of its own, with a route of its own
			}
			if err := p.protect(found, added, both, open.method); err != nil {
				return err
			}
		}
	}
	return nil
}

// protect adds a route that requires a token for a path and method, unless there is one.
func (p *Plan) protect(found *route.Table[int], added map[string]int, path route.Pattern, method string) error {
	i, again := added[path.Shape()]
	if _, taken := found.Of("").Add(path, method, i); taken {
		return nil
	}
	if !again {
		if i = len(p.Routes); i >= mostRoutes {
			return errors.New("the document needs more than 10,000 routes: too many of its paths with parameters overlap")
		}
		added[path.Shape()] = i
		p.Routes = append(p.Routes, PlannedRoute{RouteConfig: gateway.RouteConfig{Path: path.String(), Auth: gateway.AuthRequired}, pattern: path})
	}
	p.Routes[i].Methods = append(p.Routes[i].Methods, method)
	slices.Sort(p.Routes[i].Methods)
	return nil
}

// verify reports an operation whose route would ask for less than the document does.
func (p *Plan) verify() error {
	found := p.table()
	for _, op := range p.operations {
		i, ok := found.Find(nil, op.method, op.pattern.Example())
		if !ok || op.auth.StricterThan(p.Routes[i].Auth) {
			return fmt.Errorf("%s: no route can protect it", op.of.place.Path)
		}
	}
	return nil
}

// Counts are the operations that need a token, those for which it is optional, and those that are public.
func (p *Plan) Counts() (required, optional, public int) {
	counts := map[gateway.AuthMode]int{}
	for _, op := range p.operations {
		counts[op.auth]++
	}
	return counts[gateway.AuthRequired], counts[gateway.AuthOptional], counts[gateway.AuthNone]
}

// groups are the routes of the protected operations.
func groups(all []*operation) []PlannedRoute {
	root := &branch{}
	for _, op := range all {
		if op.auth == gateway.AuthRequired {
			root.enter(op, strings.Split(strings.Trim(op.written, "/"), "/"))
		}
	}
	return root.routes("", nil)
}

// branch is a segment of the paths of protected operations.
type branch struct {
	segment string             // as it is written
	here    []*operation       // whose path ends here
	below   map[string]*branch // by segment as it is compared
}

func (b *branch) enter(op *operation, segments []string) {
	if len(segments) == 0 || segments[0] == "" {
		b.here = append(b.here, op)
		return
	}
	key := strings.ToLower(segments[0])
	if strings.HasPrefix(key, ":") {
		key = ":"
	}
	if b.below[key] == nil {
		if b.below == nil {
			b.below = map[string]*branch{}
		}
		b.below[key] = &branch{segment: segments[0]}
	}
	b.below[key].enter(op, segments[1:])
}

// routes are the routes of a branch whose path is path: one for everything if it is a resource, otherwise those of the
// branches below. The root is no resource.
func (b *branch) routes(path string, routes []PlannedRoute) []PlannedRoute {
	all := b.operations(nil)
	shapes := map[string]bool{}
	for _, op := range all {
		shapes[op.pattern.Shape()] = true
	}
	switch {
	case len(shapes) <= 1:
		return append(routes, exactRoutes(all)...)
	case path != "" && b.isResource():
		pattern, _ := route.ParsePattern(path + "/**") // made of one
		return append(routes, PlannedRoute{RouteConfig: gateway.RouteConfig{Path: path + "/**", Auth: gateway.AuthRequired}, Operations: len(all), pattern: pattern})
	}
	routes = append(routes, exactRoutes(b.here)...)
	for _, key := range slices.Sorted(maps.Keys(b.below)) {
		routes = b.below[key].routes(path+"/"+b.below[key].segment, routes)
	}
	return routes
}

// isResource reports whether what is below belongs together: /recipes with /recipes/{id}, or /cart with /cart/add,
// /cart/index and /cart/checkout. /api with /api/recipes/… and /api/users/… does not.
func (b *branch) isResource() bool {
	leaves := 0
	for _, child := range b.below {
		if len(child.below) == 0 {
			leaves++
		}
	}
	return len(b.here) > 0 || b.below[":"] != nil || b.below["**"] != nil || leaves >= 3 && 2*leaves > len(b.below)
}

func (b *branch) operations(all []*operation) []*operation {
	all = append(all, b.here...)
	for _, key := range slices.Sorted(maps.Keys(b.below)) {
		all = b.below[key].operations(all)
	}
	return all
}
