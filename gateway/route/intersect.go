package route

import "strings"

// String is the pattern as it is written.
func (p Pattern) String() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteString("/" + s.written)
	}
	if p.rest {
		b.WriteString("/**")
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// Shape is the same text for patterns that match the same paths.
func (p Pattern) Shape() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.param {
			b.WriteByte(':')
		}
		b.WriteString(s.literal)
	}
	if p.rest {
		b.WriteString("/**")
	}
	return b.String()
}

// exampleRest is what ** takes in an Example: more segments than patterns without ** have.
const exampleRest = 64

// Example is a path that the pattern matches and, unless it is one with its names filled in, no more specific pattern
// does, as Find wants it: no literal has braces.
func (p Pattern) Example() []byte {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.param {
			b.WriteString("{}")
		}
		b.WriteString(s.literal)
	}
	if p.rest {
		b.WriteString(strings.Repeat("/{}", exampleRest))
	}
	if b.Len() == 0 {
		return []byte{'/'}
	}
	return []byte(b.String())
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
