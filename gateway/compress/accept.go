package compress

import (
	"bytes"

	"wxgate/message"
)

// coding is a content coding (RFC 9110 §8.4.1) that answers can have.
type coding uint8

// The codings, the most wanted first: among those that a client accepts equally, the cheapest for its ratio is taken.
const (
	asZstd coding = iota
	asBrotli
	asGzip
	codings

	asIs = codings // no coding
)

// String is the coding as Content-Encoding has it.
func (c coding) String() string { return [codings + 1]string{"zstd", "br", "gzip", "identity"}[c] }

// Weights of Accept-Encoding are thousandths (RFC 9110 §12.4.2).
const (
	fullWeight = 1000
	unlisted   = -1
)

// preferred returns the coding that a client wants most (RFC 9110 §12.5.3), asIs if that is none of ours. One whose
// field does not list identity takes it only where it accepts nothing else. Elements that are malformed are skipped.
func preferred(req *message.Fields) coding {
	weights := [codings + 1]int{unlisted, unlisted, unlisted, unlisted}
	rest := unlisted // of "*"
	for value := range req.Values("Accept-Encoding") {
		for element := range bytes.SplitSeq(value, []byte{','}) {
			name, weight, ok := parseElement(element)
			if !ok {
				continue
			}
			if c, known := codingOf(name); known {
				weights[c] = max(weights[c], weight)
			} else if string(name) == "*" {
				rest = max(rest, weight)
			}
		}
	}
	best, most := asIs, max(weights[asIs], 0)
	for c := range codings {
		if weights[c] == unlisted {
			weights[c] = rest
		}
		if weights[c] > most || weights[c] == most && most > 0 && best == asIs {
			best, most = c, weights[c]
		}
	}
	return best
}

// codingOf returns the coding of a name. x-gzip is gzip (RFC 9110 §8.4.1.3).
func codingOf(name []byte) (coding, bool) {
	for c := range asIs + 1 {
		if message.EqualFold(name, c.String()) {
			return c, true
		}
	}
	return asGzip, message.EqualFold(name, "x-gzip")
}

// parseElement reads an element of Accept-Encoding: a name, and its weight if there is one.
func parseElement(element []byte) (name []byte, weight int, ok bool) {
	name, parameter, weighted := bytes.Cut(element, []byte{';'})
	name, parameter = bytes.Trim(name, " \t"), bytes.Trim(parameter, " \t")
	if !weighted {
		return name, fullWeight, len(name) > 0
	}
	if len(name) == 0 || len(parameter) < 2 || parameter[0]|0x20 != 'q' || parameter[1] != '=' {
		return nil, 0, false
	}
	weight, ok = parseWeight(parameter[2:])
	return name, weight, ok
}

// parseWeight reads a qvalue (RFC 9110 §12.4.2): 0 or 1, and up to three digits behind a point.
func parseWeight(text []byte) (thousandths int, ok bool) {
	if len(text) == 0 || text[0] != '0' && text[0] != '1' {
		return 0, false
	}
	thousandths = int(text[0]-'0') * fullWeight
	if len(text) == 1 {
		return thousandths, true
	}
	if digits := text[2:]; text[1] != '.' || len(digits) > 3 {
		return 0, false
	}
	unit := fullWeight / 10
	for _, digit := range text[2:] {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		thousandths += int(digit-'0') * unit
		unit /= 10
	}
	return thousandths, thousandths <= fullWeight
}
