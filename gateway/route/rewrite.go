package route

import (
	"bytes"
	"fmt"
	"strings"
)

// Rewriting makes the path that is sent of the path that came: text, segments of the request and the rest of it, in a
// row. What it takes of a request are its very bytes, never decoded and encoded again.
type Rewriting struct {
	parts []rewrittenPart
	room  int // bytes of all texts
}

// rewrittenPart is text, unless it is one of the other two.
type rewrittenPart struct {
	text    string
	segment int // counted from 1: that segment of the request's path
	after   int // counted from 1: what follows that many segments, less one
}

// NewStripping cuts a literal beginning off.
func NewStripping(prefix string) *Rewriting {
	depth := strings.Count(strings.TrimSuffix(prefix, "/"), "/")
	return &Rewriting{parts: []rewrittenPart{{after: depth + 1}}}
}

// NewRewriting reads a rewrite for a path pattern: a path whose :name stands for that segment of the pattern and whose
// ** at the end for what the pattern's ** took.
func NewRewriting(path, rewrite string) (*Rewriting, error) {
	from, err := ParsePattern(path)
	if err != nil {
		return nil, err
	}
	to, err := ParsePattern(rewrite)
	if err != nil {
		return nil, err
	}
	w := new(Rewriting)
	for _, s := range to.segments {
		if !s.param {
			w.addText("/" + pathText(s.written))
			continue
		}
		at, err := from.position(s.written)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", rewrite, err)
		}
		w.parts = append(w.parts, rewrittenPart{segment: at + 1})
	}
	if to.rest && !from.rest {
		return nil, fmt.Errorf("%q: ends in **, which %q does not", rewrite, path)
	}
	if to.rest {
		w.parts = append(w.parts, rewrittenPart{after: len(from.segments) + 1})
	}
	return w, nil
}

func (w *Rewriting) addText(text string) {
	w.parts = append(w.parts, rewrittenPart{text: text})
	w.room += len(text)
}

// position is the index of the only segment that has the name.
func (p Pattern) position(name string) (int, error) {
	at := -1
	for i, s := range p.segments {
		switch {
		case !s.param || s.written != name:
		case at >= 0:
			return 0, fmt.Errorf("%s stands in the path twice", name)
		default:
			at = i
		}
	}
	if at < 0 {
		return 0, fmt.Errorf("%s is no segment of the path", name)
	}
	return at, nil
}

// pathText is text as it stands in a request target: what no path may hold as it is becomes percent-encoded.
func pathText(text string) string {
	const plain = "-._~!$&'()*+,=:@"
	var b strings.Builder
	for i := range len(text) {
		ch := text[i]
		if ch|0x20 >= 'a' && ch|0x20 <= 'z' || ch >= '0' && ch <= '9' || strings.IndexByte(plain, ch) >= 0 {
			b.WriteByte(ch)
		} else {
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}

// Apply rewrites a target that the pattern has matched. The query stays as it is.
func (w *Rewriting) Apply(target []byte) []byte {
	path, query := target, []byte(nil)
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	out := make([]byte, 0, w.room+len(target)+1)
	for _, part := range w.parts {
		switch {
		case part.segment > 0:
			from := slashOf(path, part.segment)
			out = append(out, path[from:from+1+slashOf(path[from+1:], 1)]...)
		case part.after > 0:
			out = append(out, path[slashOf(path, part.after):]...)
		default:
			out = append(out, part.text...)
		}
	}
	if len(out) == 0 {
		out = append(out, '/')
	}
	return append(out, query...)
}

// slashOf is the index of the nth slash of a path, and its length when it has fewer.
func slashOf(path []byte, nth int) int {
	for i, b := range path {
		if b == '/' {
			if nth--; nth == 0 {
				return i
			}
		}
	}
	return len(path)
}
