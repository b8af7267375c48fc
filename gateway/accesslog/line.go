package accesslog

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"wxgate/lograte"
)

// line is a line that is being formatted.
type line struct {
	text []byte
	json bool
}

// entry appends everything. The order of the keys is that of the manual, and what readers of the log have adapted to.
func (n *line) entry(e *Entry) {
	n.begin(e.Time)
	n.string("request_id", e.RequestID)
	if e.TraceID != [16]byte{} {
		n.traceID(e.TraceID)
	}
	n.string("method", e.Method)
	n.string("route", e.Route)
	n.path(e.Path)
	n.int("bytes_in", e.BytesIn)
	n.client(e.Client)
	n.stringIfAny("http_version", e.Version)
	if e.Upstream != "" {
		n.string("upstream", e.Upstream)
		n.milliseconds("upstream_ms", e.UpstreamTime)
		n.int("attempts", int64(e.Attempts))
	}
	if e.UserID != 0 {
		n.int("user_id", e.UserID)
	}
	n.stringIfAny("issuer", e.Issuer)
	n.stringIfAny("detail", e.Detail)
	if e.Began != 0 {
		n.int("began", int64(e.Began))
	}
	n.int("status", int64(e.Status))
	n.int("bytes_out", e.BytesOut)
	n.milliseconds("duration_ms", e.Duration)
	n.stringIfAny("reason", e.Reason)
	n.end()
}

// begin appends the time, in nanoseconds for JSON and in milliseconds for text, the level and the message.
func (n *line) begin(at time.Time) {
	if n.json {
		n.text = append(n.text, `{"time":"`...)
		n.text = at.AppendFormat(n.text, time.RFC3339Nano)
		n.text = append(n.text, `","level":"INFO","msg":"request"`...)
		return
	}
	n.text = append(n.text, "time="...)
	// RFC3339Nano has a fast path and drops zeros at its end, so a fourth digit is added and taken away.
	digits := len(n.text) + len("2006-01-02T15:04:05.000")
	n.text = at.Truncate(time.Millisecond).Add(time.Millisecond/10).AppendFormat(n.text, time.RFC3339Nano)
	n.text = append(n.text[:digits], n.text[digits+1:]...)
	n.text = append(n.text, " level=INFO msg=request"...)
}

func (n *line) end() {
	if n.json {
		n.text = append(n.text, '}')
	}
	n.text = append(n.text, '\n')
}

// key begins an attribute. The name of a key needs no escape.
func (n *line) key(name string) {
	if n.json {
		n.text = append(n.text, ',', '"')
		n.text = append(n.text, name...)
		n.text = append(n.text, '"', ':')
		return
	}
	n.text = append(n.text, ' ')
	n.text = append(n.text, name...)
	n.text = append(n.text, '=')
}

func (n *line) int(key string, value int64) {
	n.key(key)
	n.text = strconv.AppendInt(n.text, value, 10)
}

// largestPlain is from where on a text line has milliseconds with an exponent: %g with the fewest digits.
const largestPlain = 1_000_000

// milliseconds appends a time in milliseconds with up to three decimals, and no zeros at their end.
func (n *line) milliseconds(key string, took time.Duration) {
	n.key(key)
	us := took.Microseconds()
	if us < 0 || us >= largestPlain*1000 {
		n.text = strconv.AppendFloat(n.text, float64(us)/1000, n.floatFormat(), -1, 64)
		return
	}
	n.text = strconv.AppendInt(n.text, us/1000, 10)
	if rest := us % 1000; rest != 0 {
		decimals := [...]byte{'.', '0' + byte(rest/100), '0' + byte(rest/10%10), '0' + byte(rest%10)}
		size := len(decimals)
		for decimals[size-1] == '0' {
			size--
		}
		n.text = append(n.text, decimals[:size]...)
	}
}

// floatFormat is the verb for a float: encoding/json writes an exponent from 1e21 on only, which no time reaches.
func (n *line) floatFormat() byte {
	if n.json {
		return 'f'
	}
	return 'g'
}

// path appends the path, or its beginning.
func (n *line) path(path []byte) {
	if len(path) > lograte.MaxClipped {
		path = lograte.AppendClipped(make([]byte, 0, lograte.MaxClipped+utf8.UTFMax), path)
	}
	n.string("path", unsafe.String(unsafe.SliceData(path), len(path)))
}

// traceID appends the id of a trace, in hexadecimal as W3C Trace Context writes it.
func (n *line) traceID(id [16]byte) {
	n.key("trace_id")
	if n.json {
		n.text = append(n.text, '"')
	}
	n.text = hex.AppendEncode(n.text, id[:])
	if n.json {
		n.text = append(n.text, '"')
	}
}

// client appends the address of the client.
func (n *line) client(client netip.Addr) {
	if !client.IsValid() {
		n.string("client_ip", "unknown") // as Squid and RFC 7239 §6.2 say
		return
	}
	if client.Zone() != "" {
		n.string("client_ip", client.String())
		return
	}
	n.key("client_ip")
	if n.json {
		n.text = append(n.text, '"')
	}
	n.text = client.AppendTo(n.text)
	if n.json {
		n.text = append(n.text, '"')
	}
}

func (n *line) stringIfAny(key, value string) {
	if value != "" {
		n.string(key, value)
	}
}

// string appends a text, escaped so that neither a parser nor a terminal takes a part of it for something else.
func (n *line) string(key, value string) {
	n.key(key)
	switch {
	case n.json:
		n.text = append(n.text, '"')
		n.text = appendEscaped(n.text, value)
		n.text = append(n.text, '"')
	case needsQuotes(value):
		n.text = strconv.AppendQuote(n.text, value)
	default:
		n.text = append(n.text, value...)
	}
}

// appendEscaped appends the inside of a JSON string. Apart from what JSON demands, characters that a terminal obeys are
// escaped.
func appendEscaped(to []byte, value string) []byte {
	done := 0
	for i := 0; i < len(value); {
		if b := value[i]; b >= ' ' && b < 0x7f && b != '"' && b != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		if invalid := r == utf8.RuneError && size == 1; r >= 0x7f && !invalid && !lograte.Hidden(r) {
			i += size
			continue
		}
		to = append(to, value[done:i]...)
		to = appendEscape(to, r)
		i += size
		done = i
	}
	return append(to, value[done:]...)
}

func appendEscape(to []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(to, '\\', byte(r))
	case '\n':
		return append(to, `\n`...)
	case '\r':
		return append(to, `\r`...)
	case '\t':
		return append(to, `\t`...)
	}
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return appendUnit(appendUnit(to, high), low)
	}
	return appendUnit(to, r)
}

// appendUnit appends the escape of one UTF-16 unit.
func appendUnit(to []byte, unit rune) []byte {
	const digits = "0123456789abcdef"
	return append(to, '\\', 'u', digits[unit>>12&0xf], digits[unit>>8&0xf], digits[unit>>4&0xf], digits[unit&0xf])
}

// needsQuotes reports whether a text is quoted in a text line.
func needsQuotes(value string) bool {
	for i := 0; i < len(value); {
		if b := value[i]; b < utf8.RuneSelf {
			if b <= ' ' || b == '=' || b == '"' || b == 0x7f {
				return true
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return true
		}
		i += size
	}
	return value == ""
}
