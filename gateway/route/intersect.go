package route

import (
	"cmp"
	"strings"
)

// String is the pattern as it is written.
func (p Pattern) String() string {
	return cmp.Or(p.spell(func(s segment) string { return s.written }, "/**"), "/")
}

// Shape is the same text for patterns that match the same paths.
func (p Pattern) Shape() string {
	return p.spell(func(s segment) string {
		if s.param {
			return ":" + s.literal
		}
		return s.literal
	}, "/**")
}

// exampleRest is what ** takes in an Example: more segments than patterns without ** have.
const exampleRest = 64

// Example is a path that the pattern matches and, unless it is one with its names filled in, no more specific pattern
// does, as Find wants it: no literal has braces.
func (p Pattern) Example() []byte {
	return []byte(cmp.Or(p.spell(func(s segment) string {
		if s.param {
			return "{}" + s.literal
		}
		return s.literal
	}, strings.Repeat("/{}", exampleRest)), "/"))
}

// spell writes each segment behind a slash, and rest for **.
func (p Pattern) spell(each func(segment) string, rest string) string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteString("/" + each(s))
	}
	if p.rest {
		b.WriteString(rest)
	}
	return b.String()
}

// Intersect returns the pattern of the paths that both match, and whether there are any. Neither ends in a slash.
func (p Pattern) Intersect(other Pattern) (both Pattern, ok bool) {
	if len(p.segments) < len(other.segments) {
		p, other = other, p
	}
	if len(p.segments) > len(other.segments) && !other.rest {
		return Pattern{}, false
	}
	for i, s := range other.segments {
		if !s.param && !p.segments[i].param && s.literal != p.segments[i].literal {
			return Pattern{}, false
		}
	}
	both = Pattern{segments: append([]segment(nil), p.segments...), rest: p.rest && other.rest}
	for i, s := range other.segments {
		if !s.param {
			both.segments[i] = s
		}
	}
	return both, true
}
