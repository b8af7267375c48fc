// Package route finds the route of a request: path patterns, hosts, the parsing of request targets, and rewriting. It
// works on bytes and knows neither configuration nor requests.
package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// AnyMethod stands for every method in a matcher.
const AnyMethod = ""

// Matcher finds the most specific pattern for a path: segment by segment a literal beats :name, and :name beats **.
// It is a tree of segments, so that the number of patterns does not matter. It never changes once it is in use.
type Matcher[T any] struct {
	root node[T]
}

type node[T any] struct {
	literal map[string]*node[T]
	param   *node[T]
	here    byMethod[T] // what a path that ends here leads to
	rest    byMethod[T] // the same for a path that goes on in any way (**)
}

// byMethod is what a few methods lead to.
type byMethod[T any] []methodTo[T]

type methodTo[T any] struct {
	method string
	to     T
}

// match is the result of a lookup.
type match[T any] struct {
	to      T
	ok      bool
	slashed bool // the pattern has a last slash and the path has none, or the other way round
}

// Pattern is a path pattern, parsed: its segments and whether ** follows them.
type Pattern struct {
	segments []segment
	rest     bool
}

type segment struct {
	literal string // in lower case, as it is compared
	written string // as it is written in the pattern, a :name with its colon
	param   bool
}

var errPattern = errors.New("is not a path pattern such as /api/:name/**")

// ParsePattern reads "/a/:name/**": literals, :name for exactly one segment that is not empty, ** at the end for zero
// or more.
func ParsePattern(path string) (Pattern, error) {
	if _, rest, isURL := strings.Cut(path, "://"); isURL {
		_, below, _ := strings.Cut(rest, "/")
		return Pattern{}, fmt.Errorf("%q %w: write %q, and the host in host", path, errPattern, "/"+below)
	}
	if !strings.HasPrefix(path, "/") {
		return Pattern{}, fmt.Errorf("%q %w: it must begin with /", path, errPattern)
	}
	if strings.ContainsFunc(path, unicode.IsControl) {
		return Pattern{}, fmt.Errorf("%q %w: it has a control character, which no request has", path, errPattern)
	}
	parts := strings.Split(path[1:], "/")
	p := Pattern{segments: make([]segment, 0, len(parts))}
	for i, part := range parts {
		switch {
		case part == "**" && i == len(parts)-1:
			p.rest = true
			return p, nil
		case strings.HasPrefix(part, ":") && len(part) > 1:
			p.segments = append(p.segments, segment{param: true, written: part})
		case strings.ContainsFunc(part, neverLiteral) || part == "." || part == ".." || (part == "" && i < len(parts)-1):
			return Pattern{}, fmt.Errorf("%q %w: segment %d is %q%s", path, errPattern, i+1, part, instead(part))
		case bracketed(part) != "":
			return Pattern{}, fmt.Errorf("%q %w: segment %d is %q; write :%s", path, errPattern, i+1, part, bracketed(part))
		default:
			p.segments = append(p.segments, segment{literal: foldLiteral(part), written: part})
		}
	}
	return p, nil
}

// instead says what to write for a segment that cannot be.
func instead(part string) string {
	switch {
	case part == "*" || part == "**":
		return "; write :name for one segment, or ** at the end for the rest"
	case strings.ContainsAny(part, "?#"):
		return "; a pattern has no query"
	}
	return ""
}

// neverLiteral reports whether a character cannot stand in a literal segment.
func neverLiteral(r rune) bool {
	switch r {
	case '*', ':', ';', '%', '?', '#', '\\', ' ':
		return true
	}
	return false
}

// foldLiteral is a segment as it is compared.
func foldLiteral(segment string) string {
	folded := lowerCase([]byte(segment))
	if string(folded) == segment {
		return segment
	}
	return string(folded)
}

// TakesRest reports whether ** ends the pattern.
func (p Pattern) TakesRest() bool { return p.rest }

// SameShape reports whether two patterns differ at most in the names of their segments.
func (p Pattern) SameShape(other Pattern) bool {
	return p.rest == other.rest && slices.EqualFunc(p.segments, other.segments, func(a, b segment) bool { return a.literal == b.literal && a.param == b.param })
}

// Below returns the pattern without its first segments.
func (p Pattern) Below(segments int) Pattern {
	return Pattern{p.segments[min(segments, len(p.segments)):], p.rest}
}

// WithoutLastSlash returns the pattern without a trailing slash.
func (p Pattern) WithoutLastSlash() Pattern {
	if last := len(p.segments) - 1; last >= 0 && p.segments[last].written == "" {
		p.segments = p.segments[:last]
	}
	return p
}

// WithoutRest returns the pattern without a ** at its end.
func (p Pattern) WithoutRest() Pattern { return Pattern{segments: p.segments} }

// Add adds a pattern. If there is one for this method already, that stays, and what it leads to is returned.
func (m *Matcher[T]) Add(p Pattern, method string, value T) (other T, taken bool) {
	n := &m.root
	for _, s := range p.segments {
		n = n.child(s)
	}
	into := &n.here
	if p.rest {
		into = &n.rest
	}
	if other, taken = into.exactly(method); !taken {
		*into = append(*into, methodTo[T]{method, value})
	}
	return other, taken
}

// spelledOut reports whether exactly this pattern is there for the method, or for all methods.
func (m *Matcher[T]) spelledOut(p Pattern, method string) bool {
	n := &m.root
	for _, s := range p.segments {
		if s.param {
			n = n.param
		} else {
			n = n.literal[s.literal]
		}
		if n == nil {
			return false
		}
	}
	_, ok := n.here.find(method)
	return ok
}

func (n *node[T]) child(s segment) *node[T] {
	if s.param {
		if n.param == nil {
			n.param = new(node[T])
		}
		return n.param
	}
	if n.literal == nil {
		n.literal = make(map[string]*node[T])
	}
	if n.literal[s.literal] == nil {
		n.literal[s.literal] = new(node[T])
	}
	return n.literal[s.literal]
}

// Find returns what the most specific pattern for method and path leads to. path begins with /, is decoded and in lower
// case.
func (m *Matcher[T]) Find(method string, path []byte) (T, bool) {
	found := m.lookup(method, path, eitherEnding)
	return found.to, found.ok
}

// lookup is Find, and tells whether the pattern took the path with its other ending.
func (m *Matcher[T]) lookup(method string, path []byte, e endings) match[T] {
	return m.root.lookup(method, path[1:], e)
}

// endings says which paths a pattern takes: Express, NestJS and Spring answer /admin/ like /admin, so beside an open
// /** a protected /admin would be reached with a slash behind it.
type endings int

const (
	eitherEnding endings = iota // the path of the pattern with and without a last slash, unless both are spelled out
	asWritten                   // the path of the pattern alone
)

// lookup walks down with what is left of the path.
func (n *node[T]) lookup(method string, path []byte, e endings) match[T] {
	if len(path) == 0 {
		return n.end(method, true, e)
	}
	segment, rest, more := cutSlash(path)
	for _, next := range []*node[T]{n.literal[string(segment)], n.param} {
		if next == nil {
			continue
		}
		if found := next.follow(method, rest, more, e); found.ok {
			return found
		}
	}
	return n.takeRest(method)
}

// follow goes on behind a segment: more reports that a slash follows it.
func (n *node[T]) follow(method string, path []byte, more bool, e endings) match[T] {
	if !more {
		return n.end(method, false, e)
	}
	return n.lookup(method, path, e)
}

// end is what a path that ends here leads to, with a last slash or without.
func (n *node[T]) end(method string, slash bool, e endings) match[T] {
	written, other := n, n.literal[""]
	if slash {
		written, other = other, written
	}
	if found := written.takeHere(method); found.ok {
		return found
	}
	if found := other.takeHere(method); found.ok && e == eitherEnding {
		found.slashed = true
		return found
	}
	return n.takeRest(method)
}

func (n *node[T]) takeHere(method string) (found match[T]) {
	if n != nil {
		found.to, found.ok = n.here.find(method)
	}
	return found
}

func (n *node[T]) takeRest(method string) (found match[T]) {
	found.to, found.ok = n.rest.find(method)
	return found
}

// Holders calls f for what every pattern for any method leads to that takes all paths of p without its **.
func (m *Matcher[T]) Holders(p Pattern, f func(T)) { m.root.holders(p.segments, f) }

func (n *node[T]) holders(segments []segment, f func(T)) {
	if to, ok := n.rest.exactly(AnyMethod); ok {
		f(to)
	}
	if len(segments) == 0 {
		if to, ok := n.here.exactly(AnyMethod); ok {
			f(to)
		}
		return
	}
	if n.param != nil {
		n.param.holders(segments[1:], f)
	}
	if next := n.literal[segments[0].literal]; next != nil && !segments[0].param {
		next.holders(segments[1:], f)
	}
}

// Each calls f for what every method of every pattern leads to.
func (m *Matcher[T]) Each(f func(T)) { m.root.each(f) }

func (n *node[T]) each(f func(T)) {
	for _, of := range []byMethod[T]{n.here, n.rest} {
		for _, m := range of {
			f(m.to)
		}
	}
	for _, next := range n.literal {
		next.each(f)
	}
	if n.param != nil {
		n.param.each(f)
	}
}

func cutSlash(path []byte) (segment, rest []byte, more bool) {
	for i, b := range path {
		if b == '/' {
			return path[:i], path[i+1:], true
		}
	}
	return path, nil, false
}

// find returns what a method leads to, or else what every method does.
func (b byMethod[T]) find(method string) (found T, ok bool) {
	if found, ok = b.exactly(method); ok {
		return found, true
	}
	return b.exactly(AnyMethod)
}

func (b byMethod[T]) exactly(method string) (found T, ok bool) {
	for i := range b {
		if b[i].method == method {
			return b[i].to, true
		}
	}
	return found, false
}

// MethodsOrAny is methods, and AnyMethod alone when there are none.
func MethodsOrAny(methods []string) []string {
	if len(methods) == 0 {
		return []string{AnyMethod}
	}
	return methods
}

// bracketed is the name of a parameter as OpenAPI, Flask and Next.js write one: {id}, <id>, [id]. "": none.
func bracketed(segment string) string {
	for _, brackets := range []string{"{}", "<>", "[]"} {
		if len(segment) > 2 && segment[0] == brackets[0] && segment[len(segment)-1] == brackets[1] {
			return segment[1 : len(segment)-1]
		}
	}
	return ""
}
