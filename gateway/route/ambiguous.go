package route

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// Allowances are what a route lets stand in a path although services read it in different ways.
type Allowances uint8

// The allowances.
const (
	EncodedSlash   Allowances = 1 << iota // %2F, within a segment or between two
	Semicolon                             // ;, a character or the beginning of a parameter that is cut off
	EncodedPercent                        // %25 before two hexadecimal digits, decoded once or twice
	EdgeSpace                             // white space at an end of a segment, kept or trimmed
)

// Ambiguous is a request target whose path services read in different ways.
type Ambiguous struct {
	RequestTarget            // read as it is written: each / ends a segment, and nothing else is cut off
	Needs         Allowances // what a route must allow
	Readings      [][]byte   // all the ways in which the path may be read, in lower case; the first is Folded
}

// What bounds the work on a path: its length in bytes, and its readings.
const (
	maxAmbiguous = 2 << 10
	maxReadings  = 64
)

// ParseAmbiguous reads a target that ParseRequestTarget refuses. It returns false for what no route can allow: where any
// of the readings has an empty segment, one of dots alone, or a character that ends a path, and for paths over 2 KiB.
func ParseAmbiguous(raw []byte) (Ambiguous, bool) {
	path, _, _ := bytes.Cut(raw, []byte{'?'})
	once, ok := decodeOnce(path)
	if !ok || len(once) == 0 || once[0] != '/' || len(once) > maxAmbiguous {
		return Ambiguous{}, false
	}
	needs := allowancesFor(once)
	if needs == 0 {
		return Ambiguous{}, false
	}
	readings, ok := readingsOf(once)
	if !ok {
		return Ambiguous{}, false
	}
	a := Ambiguous{RequestTarget: RequestTarget{Raw: raw, Path: spellSlash(once)}, Needs: needs}
	for _, r := range readings {
		a.Readings = append(a.Readings, lowerCase(spellSlash(r)))
	}
	a.Folded = a.Readings[0]
	return a, true
}

// encodedSlash stands for a %2F in a path that is decoded otherwise; no request has the byte itself.
const encodedSlash = 0

// spellSlash writes the encoded slashes of a reading, which no pattern has, as they are sent.
func spellSlash(reading []byte) []byte {
	return bytes.ReplaceAll(reading, []byte{encodedSlash}, []byte("%2F"))
}

// decodeOnce decodes a path but for its slashes. An encoded dot is nobody's honest path.
func decodeOnce(path []byte) (decoded []byte, ok bool) {
	for i := 0; i < len(path); i++ {
		b := path[i]
		switch {
		case b == encodedSlash, b == '%' && !encoded(path[i:]):
			return nil, false
		case b == '%':
			b = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
			if b == '.' || b == encodedSlash {
				return nil, false
			}
			if b == '/' {
				b = encodedSlash
			}
		}
		decoded = append(decoded, b)
	}
	return decoded, utf8.Valid(decoded)
}

// allowancesFor returns what a path needs.
func allowancesFor(path []byte) (needs Allowances) {
	if bytes.IndexByte(path, encodedSlash) >= 0 {
		needs |= EncodedSlash
	}
	if bytes.IndexByte(path, ';') >= 0 {
		needs |= Semicolon
	}
	for i := range path {
		if path[i] == '%' && encoded(path[i:]) {
			needs |= EncodedPercent
		}
	}
	if !bytes.Equal(trimSegments(path), path) {
		needs |= EdgeSpace
	}
	return needs
}

// readingsOf returns all readings of a path, itself first, or false if one of them is never allowed.
func readingsOf(path []byte) (all [][]byte, ok bool) {
	all = [][]byte{path}
	for i := 0; i < len(all); i++ {
		if !harmless(all[i]) || len(all) > maxReadings {
			return nil, false
		}
		again, ok := decodeAgain(all[i])
		if !ok {
			return nil, false
		}
		slashes := bytes.ReplaceAll(all[i], []byte{encodedSlash}, []byte{'/'})
		for _, other := range [][]byte{again, slashes, cutParameters(all[i]), trimSegments(all[i])} {
			if !slices.ContainsFunc(all, func(known []byte) bool { return bytes.Equal(known, other) }) {
				all = append(all, other)
			}
		}
	}
	return all, true
}

// harmless reports whether a reading has no empty segment, none of dots alone, and nothing that ends a path.
func harmless(path []byte) bool {
	for i, b := range path {
		if b != encodedSlash && b != ';' && splits(path[i:]) {
			return false
		}
	}
	for rest, more := path[1:], true; more; {
		var segment []byte
		if segment, rest, more = bytes.Cut(rest, []byte{'/'}); len(bytes.Trim(segment, ".")) == 0 && (len(segment) > 0 || more) {
			return false
		}
	}
	return true
}

// decodeAgain decodes what is still encoded. It returns false where that hides a dot or a slash, in an overlong form too,
// or something that is encoded a third time. Any other byte that is no UTF-8 matches no pattern.
func decodeAgain(path []byte) (decoded []byte, ok bool) {
	if bytes.IndexByte(path, '%') < 0 {
		return path, true
	}
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b == '%' && encoded(path[i:]) {
			b = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
			if b == '.' || b == '/' || b == encodedSlash {
				return nil, false
			}
		}
		decoded = append(decoded, b)
	}
	for i := range decoded {
		if decoded[i] == '%' && encoded(decoded[i:]) {
			return nil, false
		}
	}
	for rest := decoded; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 && rest[0] >= 0xc0 {
			return nil, false
		}
		rest = rest[n:]
	}
	return decoded, true
}

// cutParameters cuts each segment off at its ;.
func cutParameters(path []byte) []byte {
	if bytes.IndexByte(path, ';') < 0 {
		return path
	}
	kept, cutting := make([]byte, 0, len(path)), false
	for _, b := range path {
		if cutting = b == ';' || cutting && b != '/'; !cutting {
			kept = append(kept, b)
		}
	}
	return kept
}

// trimSegments removes white space at the ends of each segment.
func trimSegments(path []byte) []byte {
	trimmedPath := make([]byte, 0, len(path))
	for rest := path; ; {
		segment, next, more := bytes.Cut(rest, []byte{'/'})
		if trimmedPath = append(trimmedPath, bytes.TrimFunc(segment, trimmed)...); !more {
			return trimmedPath
		}
		trimmedPath, rest = append(trimmedPath, '/'), next
	}
}
