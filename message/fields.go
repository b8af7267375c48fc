// Package message is HTTP messages in memory, as the gateway receives and sends them: field lines as they were written,
// and what frames a body. It parses nothing and does no I/O.
package message

import (
	"bytes"
	"iter"
)

// Fields are the field lines of a message (RFC 9110 §6.3) in their order, names and values as they were written. Names
// match in any case. The zero value has no lines. Values and names that are returned share the memory of the Fields:
// they are valid until the next change.
type Fields struct {
	text      []byte // of the lines
	lines     []Line
	scattered bool // text is not just the lines as they are sent
	view      bool // text and lines belong to somebody else
}

// Line is where a field line stands in the text of its message.
type Line struct {
	Name, Value Range
	Class       uint32 // what the owner of the message makes of the name; 0: nothing yet
}

// Range is a part of a text: the bytes from From up to To.
type Range struct{ From, To int32 }

// Of returns the range of text.
func (r Range) Of(text []byte) []byte { return text[r.From:r.To] }

// View makes f the lines of text, which is neither copied nor written to. The slice of lines belongs to f until Reset.
func (f *Fields) View(text []byte, lines []Line) {
	*f = Fields{text: text[:len(text):len(text)], lines: lines, scattered: true, view: true}
}

// Reset removes all lines and keeps the memory, unless it is that of a View.
func (f *Fields) Reset() {
	if f.view {
		*f = Fields{}
	}
	f.text, f.lines, f.scattered = f.text[:0], f.lines[:0], false
}

// Len returns the number of lines.
func (f *Fields) Len() int { return len(f.lines) }

// Line returns name and value of line i.
func (f *Fields) Line(i int) (name, value []byte) {
	l := &f.lines[i]
	return f.text[l.Name.From:l.Name.To], f.text[l.Value.From:l.Value.To]
}

// Class returns the class of line i.
func (f *Fields) Class(i int) uint32 { return f.lines[i].Class }

// Classify sets the class of every line, and returns the union of them, as sets of bits.
func (f *Fields) Classify(of func(name []byte) uint32) (union uint32) {
	for i := range f.lines {
		name, _ := f.Line(i)
		f.lines[i].Class = of(name)
		union |= f.lines[i].Class
	}
	return union
}

// DeleteClass removes the lines whose class has one of the bits, and returns how many they were.
func (f *Fields) DeleteClass(bits uint32) (dropped int) {
	kept := f.lines[:0]
	for i := range f.lines {
		if f.lines[i].Class&bits == 0 {
			kept = append(kept, f.lines[i])
		}
	}
	dropped = len(f.lines) - len(kept)
	f.lines, f.scattered = kept, f.scattered || dropped > 0
	return dropped
}

// All walks over name and value of the lines.
func (f *Fields) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range f.lines {
			if name, value := f.Line(i); !yield(name, value) {
				return
			}
		}
	}
}

// Get returns the value of the first line called name, nil when there is none.
func (f *Fields) Get(name string) []byte {
	for i := range f.lines {
		if n, value := f.Line(i); EqualFold(n, name) {
			return value
		}
	}
	return nil
}

// Values walks over the values of the lines called name.
func (f *Fields) Values(name string) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		for i := range f.lines {
			if n, value := f.Line(i); EqualFold(n, name) && !yield(value) {
				return
			}
		}
	}
}

// Has reports whether there is a line called name.
func (f *Fields) Has(name string) bool {
	for i := range f.lines {
		if n, _ := f.Line(i); EqualFold(n, name) {
			return true
		}
	}
	return false
}

// Add appends a line. Neither name nor value may hold a line end.
func (f *Fields) Add(name, value string) {
	at := int32(len(f.text))
	f.text = append(append(f.text, name...), ": "...)
	f.text = append(append(f.text, value...), "\r\n"...)
	f.append(at, len(name), len(value))
}

// AddBytes is Add for bytes, which are copied.
func (f *Fields) AddBytes(name, value []byte) {
	at := int32(len(f.text))
	f.text = append(append(f.text, name...), ": "...)
	f.text = append(append(f.text, value...), "\r\n"...)
	f.append(at, len(name), len(value))
}

func (f *Fields) append(at int32, name, value int) {
	ends := at + int32(name)
	from := ends + int32(len(": "))
	f.lines = append(f.lines, Line{Name: Range{at, ends}, Value: Range{from, from + int32(value)}})
}

// Append appends the lines of another message.
func (f *Fields) Append(of *Fields) {
	if of.scattered {
		for i := range of.lines {
			f.AddBytes(of.Line(i))
		}
		return
	}
	at := int32(len(f.text))
	f.text = append(f.text, of.text...)
	for _, l := range of.lines {
		l.Name.From, l.Name.To, l.Value.From, l.Value.To = l.Name.From+at, l.Name.To+at, l.Value.From+at, l.Value.To+at
		f.lines = append(f.lines, l)
	}
}

// Set removes the lines called name and appends one.
func (f *Fields) Set(name, value string) {
	f.Del(name)
	f.Add(name, value)
}

// SetValue gives line i another value, which is copied.
func (f *Fields) SetValue(i int, value []byte) {
	from := int32(len(f.text))
	f.text = append(f.text, value...)
	f.lines[i].Value, f.scattered = Range{from, from + int32(len(value))}, true
}

// Del removes the lines called name. The others keep their order.
func (f *Fields) Del(name string) {
	f.DeleteFunc(func(n []byte) bool { return EqualFold(n, name) })
}

// DeleteFunc removes the lines whose name is to be dropped, and returns how many they were. The others keep their order,
// which has a meaning among lines of one name (RFC 9110 §5.3).
func (f *Fields) DeleteFunc(drop func(name []byte) bool) (dropped int) {
	kept := f.lines[:0]
	for i := range f.lines {
		if name, _ := f.Line(i); !drop(name) {
			kept = append(kept, f.lines[i])
		}
	}
	dropped = len(f.lines) - len(kept)
	f.lines, f.scattered = kept, f.scattered || dropped > 0
	return dropped
}

// AddVary says that an answer depends on a field of its request (RFC 9110 §12.5.5), unless it says so already.
func (f *Fields) AddVary(name string) {
	for value := range f.Values("Vary") {
		if ListContains(value, name) || ListContains(value, "*") {
			return
		}
	}
	f.Add("Vary", name)
}

// ListContains reports whether a field's list (RFC 9110 §5.6.1) has an element, in any case.
func ListContains(list []byte, element string) bool {
	for each := range bytes.SplitSeq(list, []byte{','}) {
		if EqualFold(bytes.Trim(each, " \t"), element) {
			return true
		}
	}
	return false
}

// AppendTo appends the lines to dst as they are sent, each with its line end.
func (f *Fields) AppendTo(dst []byte) []byte {
	if !f.scattered {
		return append(dst, f.text...)
	}
	for i := range f.lines {
		name, value := f.Line(i)
		dst = append(append(dst, name...), ": "...)
		dst = append(append(dst, value...), "\r\n"...)
	}
	return dst
}

// EqualFold reports whether two field names are the same (RFC 9110 §5.1): ASCII letters match in either case.
func EqualFold(name []byte, other string) bool {
	if len(name) != len(other) {
		return false
	}
	for i := range name {
		if a, b := name[i], other[i]; a != b && (a^b != 0x20 || a|0x20 < 'a' || a|0x20 > 'z') {
			return false
		}
	}
	return true
}
