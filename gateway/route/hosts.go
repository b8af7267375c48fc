package route

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Table finds the route of a request: first by its host, then by its path and method. An exact host beats *.suffix, a
// longer suffix beats a shorter one, and both beat a pattern for any host. If a host has no pattern for the path and
// method, the next less specific one is tried. A table never changes once it is in use.
type Table[T any] struct {
	any   Matcher[T]
	hosts map[string]*Matcher[T] // "api.example.com", and ".example.com" for *.example.com

	stricter func(a, b T) bool // whether a asks for more than b; nil: nothing does
}

var errHost = errors.New("is not a host such as api.example.com or *.example.com")

// ParseHost reads the host of a route: "" for any, a name or an address, or *.suffix for all names that end so. The
// result is the key of a table's hosts, for Of.
func ParseHost(host string) (key string, err error) {
	key = strings.ToLower(host)
	if address, found := strings.CutPrefix(key, "["); found {
		parsed, err := netip.ParseAddr(strings.TrimSuffix(address, "]"))
		if err != nil || !strings.HasSuffix(key, "]") {
			return "", fmt.Errorf("%q %w", host, errHost)
		}
		return "[" + parsed.String() + "]", nil
	}
	key = strings.TrimPrefix(key, "*")
	for i, label := range strings.Split(key, ".") {
		suffix := i == 0 && label == "" && len(key) < len(host)
		if host != "" && !suffix && !validLabel(label) {
			return "", fmt.Errorf("%q %w: no port, no path, and names in other scripts as xn--", host, errHost)
		}
	}
	if key == "" && host != "" || len(key) < len(host) && key[0] != '.' {
		return "", fmt.Errorf("%q %w", host, errHost)
	}
	return key, nil
}

func validLabel(label string) bool {
	return label != "" && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// NewTable returns an empty table. stricter reports whether a asks for more than b.
func NewTable[T any](stricter func(a, b T) bool) *Table[T] { return &Table[T]{stricter: stricter} }

// Names returns the keys of the hosts that have a matcher, sorted: first "", for any host.
func (t *Table[T]) Names() []string {
	return append([]string{""}, slices.Sorted(maps.Keys(t.hosts))...)
}

// Of returns the matcher of a host, and creates it if there is none.
func (t *Table[T]) Of(host string) *Matcher[T] {
	if host == "" {
		return &t.any
	}
	if t.hosts == nil {
		t.hosts = make(map[string]*Matcher[T])
	}
	if t.hosts[host] == nil {
		t.hosts[host] = new(Matcher[T])
	}
	return t.hosts[host]
}

// Find returns what the most specific host and pattern lead to. host is as the request says it, path is decoded and in
// lower case. What takes the path with its other ending gives way to a stricter one that takes it as it is written.
func (t *Table[T]) Find(host []byte, method string, path []byte) (T, bool) {
	found := t.lookup(host, method, path, eitherEnding)
	if found.slashed && t.stricter != nil {
		if other := t.lookup(host, method, path, asWritten); other.ok && t.stricter(other.to, found.to) {
			found = other
		}
	}
	return found.to, found.ok
}

func (t *Table[T]) lookup(host []byte, method string, path []byte, e endings) match[T] {
	if len(t.hosts) > 0 {
		var room [256]byte
		name := hostName(room[:0], host)
		for i := range name {
			if i > 0 && name[i] != '.' || i == 0 && name[i] == '.' {
				continue
			}
			if m := t.hosts[string(name[i:])]; m != nil {
				if found := m.lookup(method, path, e); found.ok {
					return found
				}
			}
		}
	}
	return t.any.lookup(method, path, e)
}

// hostName appends the name of a Host in lower case, without its port and the dots behind a full name: one is right,
// and some servers pass over more. An IPv6 address is written in its one short form.
func hostName(into, host []byte) []byte {
	if end := bytes.IndexByte(host, ']'); end > 0 {
		if address, err := netip.ParseAddr(string(host[1:end])); err == nil {
			return append(address.AppendTo(append(into, '[')), ']')
		}
		return into
	}
	if colon := bytes.IndexByte(host, ':'); colon >= 0 {
		host = host[:colon]
	}
	for _, b := range bytes.TrimRight(host, ".") {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		into = append(into, b)
	}
	return into
}

// SpelledOut reports whether a pattern of exactly these segments is there for the method, or for all methods, wherever
// a request for host is looked for.
func (t *Table[T]) SpelledOut(host string, p Pattern, method string) bool {
	for i := range host {
		if i == 0 || host[i] == '.' {
			if m := t.hosts[host[i:]]; m != nil && m.spelledOut(p, method) {
				return true
			}
		}
	}
	return t.any.spelledOut(p, method)
}
