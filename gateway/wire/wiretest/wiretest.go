// Package wiretest holds what the strict reader is to say of requests: one table for the reader alone, for the server above
// it and for the whole gateway.
package wiretest

import (
	"slices"
	"strings"

	"wxgate/gateway/wire"
)

// Case is what a client sends and what becomes of it. The client sends Pass+Held; the server reads Pass. With a Want, the
// request is refused for that reason; without, Held is only what the server did not get because it ended. Says is what the
// client sends where the reader changes it.
type Case struct {
	Name string
	Rule string // where it is written; RFC 9112 unless it names another
	Pass string
	Held string
	Want wire.Reason
	Says string
}

// In is what the client sends.
func (c Case) In() string {
	if c.Says != "" {
		return c.Says
	}
	return c.Pass + c.Held
}

const (
	get  = "GET /a HTTP/1.1\r\nHost: h\r\n"
	post = "POST /a HTTP/1.1\r\nHost: h\r\n"
	end  = "\r\n"

	chunkedHead = post + "Transfer-Encoding: chunked\r\n\r\n"
)

// All are all cases.
func All() []Case { return slices.Concat(ByHand(), Bytes()) }

// ByHand are the cases that were written one by one.
func ByHand() []Case { return slices.Concat(Short(), sizeCases()) }

// Short are those of them that are short enough to begin a fuzz run with.
func Short() []Case {
	return slices.Concat(requestLineCases, targetCases, hostCases, fieldCases, framingCases, chunkCases, trailerCases, pipelineCases)
}

// Bodies are the cases about the framing of bodies.
func Bodies() []Case { return slices.Concat(framingCases, chunkCases, trailerCases) }

// sizeCases are the limits of DefaultConfig, on both sides.
func sizeCases() []Case {
	const limit = 16 << 10
	filled := func(n int) string {
		return get + "A: " + strings.Repeat("v", n-len(get)-len("A: \r\n\r\n")) + "\r\n\r\n"
	}
	return []Case{
		{Name: "head of exactly the limit", Rule: "§3", Pass: filled(limit)},
		{Name: "head one byte over the limit", Rule: "RFC 6585 §5", Held: filled(limit + 1), Want: "head too large"},
		{Name: "head far over the limit", Rule: "RFC 6585 §5", Held: filled(2 * limit), Want: "head too large"},
		{Name: "target over the limit", Rule: "§3", Held: "GET /" + strings.Repeat("a", limit), Want: "target too long"},
		{Name: "target far over the limit", Rule: "§3", Held: "GET /" + strings.Repeat("a", 2*limit) + " HTTP/1.1" + hosted, Want: "target too long"},
		{Name: "fields behind a long target", Rule: "RFC 6585 §5", Held: "GET /" + strings.Repeat("a", limit/2) + " HTTP/1.1\r\nA: " + strings.Repeat("a", limit), Want: "head too large"},
		{Name: "method over the limit", Rule: "§3", Held: strings.Repeat("A", limit) + " / HTTP/1.1" + hosted, Want: "method too long"},
		{Name: "method longer than any", Rule: "§3", Held: strings.Repeat("A", 33) + " / HTTP/1.1" + hosted, Want: "method too long"},
		{Name: "method longer than any, alone", Rule: "§3", Held: strings.Repeat("A", 33) + "\r\n\r\n", Want: "method too long"},
		{Name: "no method over the limit", Rule: "§3.1", Held: strings.Repeat("/", limit), Want: "bad method"},
		{Name: "name over the limit", Rule: "§5", Held: get + strings.Repeat("a", limit), Want: "head too large"},
		{Name: "as many fields as the limit", Rule: "RFC 6585 §5", Pass: get + strings.Repeat("A: b\r\n", 99) + end},
		{Name: "one field too many", Rule: "RFC 6585 §5", Held: get + strings.Repeat("A: b\r\n", 100) + end, Want: "too many fields"},
		{
			Name: "trailers over the limit", Rule: "§7.1.2",
			Pass: chunkedHead + "0\r\n", Held: "A: " + strings.Repeat("v", limit), Want: "head too large",
		},
		{
			Name: "too many trailers", Rule: "§7.1.2",
			Pass: chunkedHead + "0\r\n", Held: strings.Repeat("A: b\r\n", 101) + end, Want: "too many fields",
		},
		{
			Name: "chunk line of exactly the limit", Rule: "§7.1.1",
			Pass: chunkedHead + "0;" + strings.Repeat("a", 510) + "\r\n\r\n",
		},
		{
			Name: "chunk line over the limit", Rule: "§7.1.1",
			Pass: chunkedHead + "0;" + strings.Repeat("a", 510), Held: "a\r\n\r\n", Want: "chunk line too long",
		},
		{
			Name: "flood of chunk extensions", Rule: "§7.1.1",
			Pass: chunkedHead + strings.Repeat("1;"+strings.Repeat("a", 508)+"\r\nx\r\n", 33) + "1;" + strings.Repeat("a", 508) + "\r",
			Held: "\nx\r\n", Want: "too much chunk overhead",
		},
	}
}

// Bytes put every byte that may not stand there into the name, the value, the target, the method and the host.
func Bytes() []Case {
	var cases []Case
	add := func(where, rule, in string, want wire.Reason) {
		cases = append(cases, Case{Name: where, Rule: rule, Held: in, Want: want})
	}
	for b := range 256 {
		ch, hex := string([]byte{byte(b)}), "0123456789abcdef"
		name := " 0x" + string([]byte{hex[b>>4], hex[b&15]})
		control := b < 0x20 && b != '\t' && b != '\r' && b != '\n' || b == 0x7F
		if control {
			add("in a value"+name, "RFC 9110 §5.5", get+"A: b"+ch+"c\r\n\r\n", "control byte")
			add("in a target"+name, "§3.2", "GET /a"+ch+" HTTP/1.1\r\nHost: h\r\n\r\n", "control byte")
		}
		if control || b >= 0x80 {
			reason := map[bool][3]wire.Reason{
				true:  {"control byte", "control byte", "control byte"},
				false: {"bad field name", "bad method", "bad host"},
			}[control]
			add("in a name"+name, "§5", get+"A"+ch+"b: c\r\n\r\n", reason[0])
			add("in a method"+name, "§3.1", "G"+ch+"T / HTTP/1.1\r\nHost: h\r\n\r\n", reason[1])
			add("in a host"+name, "§3.2", "GET / HTTP/1.1\r\nHost: h"+ch+"\r\n\r\n", reason[2])
		}
		if b >= 0x80 {
			add("in a target"+name, "§3.2", "GET /a"+ch+" HTTP/1.1\r\nHost: h\r\n\r\n", "bad target byte")
			cases = append(cases, Case{
				Name: "obs-text in a value" + name, Rule: "RFC 9110 §5.5: opaque", Pass: get + "A: b" + ch + "c\r\n\r\n",
			})
		}
		if strings.Contains("\"(),/;<=>?@[\\]{}", ch) {
			add("delimiter in a name"+name, "RFC 9110 §5.6.2", get+"A"+ch+"b: c\r\n\r\n", "bad field name")
			add("delimiter in a method"+name, "RFC 9110 §5.6.2", "G"+ch+"T / HTTP/1.1\r\nHost: h\r\n\r\n", "bad method")
		}
	}
	return cases
}
