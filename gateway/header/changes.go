package header

import (
	"maps"
	"slices"
	"strings"

	"wxgate/message"
)

// Changes are what a route sets and removes of the headers that a service gets.
type Changes struct {
	fields  [][2]string // name and value of those that are set
	dropped []string    // folded names of those and of the removed ones: the client's own do not pass
}

// NewChanges sets the headers of set, and removes those of remove, whatever the client sent.
func NewChanges(set map[string]string, remove []string) Changes {
	var c Changes
	for _, name := range slices.Sorted(maps.Keys(set)) {
		c.fields = append(c.fields, [2]string{name, set[name]})
		c.dropped = append(c.dropped, Fold(name))
	}
	for _, name := range remove {
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
