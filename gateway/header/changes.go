package header

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"wxgate/message"
)

// Changes are what a route sets and removes of the headers that a service gets.
type Changes struct {
	fields  [][2]string // name and value of those that are set
	removed []string    // names of those that are removed
	dropped []string    // folded names of both: the client's own do not pass
}

// NewChanges sets the headers of set, and removes those of remove, whatever the client sent.
func NewChanges(set map[string]string, remove []string) Changes {
	var c Changes
	for _, name := range slices.Sorted(maps.Keys(set)) {
		c.fields = append(c.fields, [2]string{name, set[name]})
		c.dropped = append(c.dropped, Fold(name))
	}
	for _, name := range remove {
		c.removed = append(c.removed, name)
		c.dropped = append(c.dropped, Fold(name))
	}
	return c
}

// Hold reports whether a header of the client is replaced or removed, in any spelling that a service could take for it.
func (c *Changes) Hold(name []byte) bool {
	for _, dropped := range c.dropped {
		if Folded(name, dropped) {
			return true
		}
	}
	return false
}

// Apply adds the headers that are set.
func (c *Changes) Apply(out *message.Fields) {
	for _, field := range c.fields {
		out.Add(field[0], field[1])
	}
}

// Sets reports whether the header is one that is set, by its name in any case.
func (c *Changes) Sets(name string) bool {
	return slices.ContainsFunc(c.fields, func(f [2]string) bool { return strings.EqualFold(f[0], name) })
}

// AnswerChanges are what a route sets and removes of the headers of an answer.
type AnswerChanges struct {
	success, failure Changes
}

// NewAnswerChanges sets the headers of set, and removes those of remove, whatever the service sent. An error (400 and
// above) keeps its own word on how long it may be stored: that of the route is meant for what it found.
func NewAnswerChanges(set map[string]string, remove []string) AnswerChanges {
	lasting := maps.Clone(set)
	maps.DeleteFunc(lasting, func(name, _ string) bool { return isAboutStoring(name) })
	return AnswerChanges{NewChanges(set, remove), NewChanges(lasting, remove)}
}

func isAboutStoring(name string) bool {
	return strings.EqualFold(name, "Cache-Control") || strings.EqualFold(name, "Expires")
}

// Apply changes an answer.
func (c *AnswerChanges) Apply(resp *message.Response) {
	changes := &c.success
	if resp.Status >= http.StatusBadRequest {
		changes = &c.failure
	}
	if len(changes.dropped) > 0 {
		resp.Fields.DeleteFunc(changes.Hold)
		changes.Apply(&resp.Fields)
	}
}

// List is what is changed, a line for each header.
func (c *AnswerChanges) List() (lines []string) {
	for _, field := range c.success.fields {
		line := "set " + field[0] + ": " + field[1]
		if isAboutStoring(field[0]) {
			line += " (not on errors)"
		}
		lines = append(lines, line)
	}
	for _, name := range c.success.removed {
		lines = append(lines, "remove "+name)
	}
	return lines
}

// HopByHop reports whether a header belongs to one connection alone, or to a proxy. Expect is answered by us, and
// framing is set anew. Proxy without a suffix becomes HTTP_PROXY in CGI (httpoxy).
func HopByHop(name []byte) bool {
	switch foldByte(name[0]) {
	case 'c':
		return Folded(name, "connection") || Folded(name, "content-length")
	case 'e':
		return Folded(name, "expect")
	case 'h':
		return Folded(name, "http2-settings")
	case 'k':
		return Folded(name, "keep-alive")
	case 'p':
		return Folded(name, "proxy") || FoldedPrefix(name, "proxy-")
	case 't':
		return Folded(name, "te") || Folded(name, "trailer") || Folded(name, "transfer-encoding")
	case 'u':
		return Folded(name, "upgrade")
	}
	return false
}

// Owned reports whether a header is one that the gateway sets on every request, or one that a service could take for
// it.
func Owned(name []byte) bool {
	switch foldByte(name[0]) {
	case 'h':
		return Folded(name, "host")
	case 'f':
		return Folded(name, "forwarded")
	case 'x':
		return FoldedPrefix(name, "x-forwarded") || FoldedPrefix(name, "x-original-") || Folded(name, "x-real-ip") ||
			Folded(name, "x-request-id") || Folded(name, "x-rewrite-url") || FoldedPrefix(name, "x-http-method") || Folded(name, "x-method-override")
	case 'v':
		return Folded(name, "via")
	}
	return false
}
