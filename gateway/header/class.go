package header

import (
	"bytes"
	"fmt"
	"slices"

	"wxgate/message"
)

// Class is what kinds of field a name is, as a set: fields are classified once, when their request has come, and each
// step asks for the class.
type Class = uint32

// The classes. The first ones are of fields that have one value and decide something: who asks, what of, and what the
// body is.
const (
	ClassAuthorization Class = 1 << iota
	classContentType
	classContentRange
	classIfRange
	classIfModifiedSince
	classIfUnmodifiedSince
	ClassMaxForwards
	classOrigin
	classRange
	classReferer

	ClassConnection
	ClassCookie
	ClassToken        // a place of the token, by authn.token_from
	ClassSubprotocols // the offer of a WebSocket, where a token may stand by authn.token_from
	ClassExpect
	ClassUpgrade
	ClassVia
	ClassHopByHop   // see HopByHop
	ClassOwned      // see Owned
	ClassIdentity   // a service could take it for one of ours, or for somebody's word on who is asking
	ClassForwarding // see ForwardingClaim
	ClassIngress    // see Ingress
	ClassTrace      // of W3C Trace Context

	classesOfOneValue = ClassConnection - 1
)

// ClassOf returns the class of a name, without those that depend on the configuration: ClassToken, ClassSubprotocols,
// ClassIdentity, ClassForwarding and ClassIngress.
func ClassOf(name []byte) (c Class) {
	if HopByHop(name) {
		c |= ClassHopByHop
	}
	if Owned(name) {
		c |= ClassOwned
	}
	switch foldByte(name[0]) {
	case 'a':
		c |= classIf(ClassAuthorization, name, "authorization")
	case 'c':
		c |= classIf(classContentType, name, "content-type") | classIf(classContentRange, name, "content-range") |
			classIf(ClassConnection, name, "connection") | classIf(ClassCookie, name, "cookie")
	case 'e':
		c |= classIf(ClassExpect, name, "expect")
	case 'i':
		c |= classIf(classIfRange, name, "if-range") | classIf(classIfModifiedSince, name, "if-modified-since") |
			classIf(classIfUnmodifiedSince, name, "if-unmodified-since")
	case 'm':
		c |= classIf(ClassMaxForwards, name, "max-forwards")
	case 'o':
		c |= classIf(classOrigin, name, "origin")
	case 'r':
		c |= classIf(classRange, name, "range") | classIf(classReferer, name, "referer")
	case 't':
		c |= classIf(ClassTrace, name, "traceparent") | classIf(ClassTrace, name, "tracestate")
	case 'u':
		c |= classIf(ClassUpgrade, name, "upgrade")
	case 'v':
		c |= classIf(ClassVia, name, "via")
	}
	return c
}

func classIf(c Class, name []byte, lower string) Class {
	if Folded(name, lower) {
		return c
	}
	return 0
}

// maxConnectionOptions is how many names Connection may list: each is compared with each field.
const maxConnectionOptions = 100

// CheckSingle returns the fault of a request with two lines of a field that has one value (RFC 9110 §5.3): one service
// takes the first, another the last, and a third joins them. Host and framing are the strict reader's. The fields are
// classified.
func CheckSingle(fields *message.Fields) error {
	seen, options := Class(0), 0
	for i := range fields.Len() {
		class := fields.Class(i)
		if seen&class&classesOfOneValue != 0 {
			name, _ := fields.Line(i)
			return fmt.Errorf("%.32q is there twice", name)
		}
		seen |= class
		if class&ClassConnection != 0 {
			_, value := fields.Line(i)
			options += 1 + bytes.Count(value, []byte{','})
		}
	}
	if options > maxConnectionOptions {
		return fmt.Errorf("%d names in Connection", options)
	}
	return nil
}

// AppendConnectionOptions appends the names that the Connection lines of classified fields list (RFC 9110 §7.6.1), but
// for those that are no fields, or are never forwarded in any case.
func AppendConnectionOptions(names Names, fields *message.Fields) Names {
	for i := range fields.Len() {
		if fields.Class(i)&ClassConnection == 0 {
			continue
		}
		_, value := fields.Line(i)
		for option := range bytes.SplitSeq(value, []byte{','}) {
			if option = bytes.TrimSpace(option); !message.EqualFold(option, "keep-alive") && !message.EqualFold(option, "close") {
				names = append(names, option)
			}
		}
	}
	return names
}

// AppendCookies appends the cookies of classified fields as the client wrote them, but for those whose name is in
// without. Several lines become one, as HTTP/2 has it (RFC 9113 §8.2.3).
func AppendCookies(dst []byte, fields *message.Fields, without []string) []byte {
	first := true
	for i := range fields.Len() {
		if fields.Class(i)&ClassCookie == 0 {
			continue
		}
		_, value := fields.Line(i)
		if len(without) > 0 {
			if value = withoutCookies(value, without); len(value) == 0 {
				continue
			}
		}
		if !first {
			dst = append(dst, "; "...)
		}
		dst, first = append(dst, value...), false
	}
	return dst
}

// withoutCookies returns a line of cookies without those of the names; the others stay byte for byte.
func withoutCookies(line []byte, names []string) (kept []byte) {
	for pair := range bytes.SplitSeq(line, []byte{';'}) {
		pair = bytes.Trim(pair, " \t")
		name, _, _ := bytes.Cut(pair, []byte{'='})
		if len(pair) == 0 || slices.Contains(names, string(bytes.Trim(name, " \t"))) {
			continue
		}
		if len(kept) > 0 {
			kept = append(kept, "; "...)
		}
		kept = append(kept, pair...)
	}
	return kept
}

// EachCookie calls visit with name and value of each cookie of classified fields.
func EachCookie(fields *message.Fields, visit func(name, value []byte)) {
	for i := range fields.Len() {
		if fields.Class(i)&ClassCookie == 0 {
			continue
		}
		_, line := fields.Line(i)
		for pair := range bytes.SplitSeq(line, []byte{';'}) {
			if name, value, found := bytes.Cut(pair, []byte{'='}); found {
				visit(bytes.Trim(name, " \t"), bytes.Trim(value, " \t"))
			}
		}
	}
}
