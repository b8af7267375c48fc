package wire_test

import (
	"slices"
	"strings"

	"wxgate/gateway/wire"
)

// wireCase is what a client sends and what becomes of it. The client sends pass+held; the server reads pass. With a
// want, the request is refused for that reason; without, held is only what the server did not get because it ended.
type wireCase struct {
	name string
	rule string // where it is written; RFC 9112 unless it names another
	pass string
	held string
	want wire.Reason
}

const (
	get  = "GET /a HTTP/1.1\r\nHost: h\r\n"
	post = "POST /a HTTP/1.1\r\nHost: h\r\n"
	end  = "\r\n"

	chunkedHead = post + "Transfer-Encoding: chunked\r\n\r\n"
)

func allCases() []wireCase {
	return slices.Concat(requestLineCases, targetCases, hostCases, fieldCases, framingCases, chunkCases, trailerCases,
		pipelineCases, sizeCases(), byteCases())
}

// sizeCases are the limits of DefaultConfig, on both sides.
func sizeCases() []wireCase {
	const limit = 16 << 10
	filled := func(n int) string {
		return get + "A: " + strings.Repeat("v", n-len(get)-len("A: \r\n\r\n")) + "\r\n\r\n"
	}
	return []wireCase{
		{name: "head of exactly the limit", rule: "§3", pass: filled(limit)},
		{name: "head one byte over the limit", rule: "RFC 6585 §5", held: filled(limit + 1), want: wire.ReasonHeadSize},
		{name: "head far over the limit", rule: "RFC 6585 §5", held: filled(2 * limit), want: wire.ReasonHeadSize},
		{name: "target over the limit", rule: "§3", held: "GET /" + strings.Repeat("a", limit), want: wire.ReasonHeadSize},
		{name: "name over the limit", rule: "§5", held: get + strings.Repeat("a", limit), want: wire.ReasonHeadSize},
		{name: "as many fields as the limit", rule: "RFC 6585 §5", pass: get + strings.Repeat("A: b\r\n", 99) + end},
		{name: "one field too many", rule: "RFC 6585 §5", held: get + strings.Repeat("A: b\r\n", 100) + end, want: wire.ReasonFieldCount},
		{
			name: "trailers over the limit", rule: "§7.1.2",
			pass: chunkedHead + "0\r\n", held: "A: " + strings.Repeat("v", limit), want: wire.ReasonHeadSize,
		},
		{
			name: "too many trailers", rule: "§7.1.2",
			pass: chunkedHead + "0\r\n", held: strings.Repeat("A: b\r\n", 101) + end, want: wire.ReasonFieldCount,
		},
		{
			name: "chunk line of exactly the limit", rule: "§7.1.1",
			pass: chunkedHead + "0;" + strings.Repeat("a", 510) + "\r\n\r\n",
		},
		{
			name: "chunk line over the limit", rule: "§7.1.1",
			pass: chunkedHead + "0;" + strings.Repeat("a", 510), held: "a\r\n\r\n", want: wire.ReasonChunkLine,
		},
		{
			name: "flood of chunk extensions", rule: "§7.1.1",
			pass: chunkedHead + strings.Repeat("1;"+strings.Repeat("a", 508)+"\r\nx\r\n", 33) + "1;" + strings.Repeat("a", 508) + "\r",
			held: "\nx\r\n", want: wire.ReasonChunkWaste,
		},
	}
}

// byteCases put every byte that may not stand there into the name, the value, the target, the method and the host.
func byteCases() []wireCase {
	var cases []wireCase
	add := func(where, rule, in string, want wire.Reason) {
		cases = append(cases, wireCase{name: where, rule: rule, held: in, want: want})
	}
	for b := range 256 {
		ch, hex := string([]byte{byte(b)}), "0123456789abcdef"
		name := " 0x" + string([]byte{hex[b>>4], hex[b&15]})
		control := b < 0x20 && b != '\t' && b != '\r' && b != '\n' || b == 0x7F
		if control {
			add("in a value"+name, "RFC 9110 §5.5", get+"A: b"+ch+"c\r\n\r\n", wire.ReasonControl)
			add("in a target"+name, "§3.2", "GET /a"+ch+" HTTP/1.1\r\nHost: h\r\n\r\n", wire.ReasonControl)
		}
		if control || b >= 0x80 {
			reason := map[bool][3]wire.Reason{
				true:  {wire.ReasonControl, wire.ReasonControl, wire.ReasonControl},
				false: {wire.ReasonFieldName, wire.ReasonMethod, wire.ReasonHost},
			}[control]
			add("in a name"+name, "§5", get+"A"+ch+"b: c\r\n\r\n", reason[0])
			add("in a method"+name, "§3.1", "G"+ch+"T / HTTP/1.1\r\nHost: h\r\n\r\n", reason[1])
			add("in a host"+name, "§3.2", "GET / HTTP/1.1\r\nHost: h"+ch+"\r\n\r\n", reason[2])
		}
		if b >= 0x80 {
			add("in a target"+name, "§3.2", "GET /a"+ch+" HTTP/1.1\r\nHost: h\r\n\r\n", wire.ReasonTargetByte)
			cases = append(cases, wireCase{
				name: "obs-text in a value" + name, rule: "RFC 9110 §5.5: opaque", pass: get + "A: b" + ch + "c\r\n\r\n",
			})
		}
		if strings.Contains("\"(),/;<=>?@[\\]{}", ch) {
			add("delimiter in a name"+name, "RFC 9110 §5.6.2", get+"A"+ch+"b: c\r\n\r\n", wire.ReasonFieldName)
			add("delimiter in a method"+name, "RFC 9110 §5.6.2", "G"+ch+"T / HTTP/1.1\r\nHost: h\r\n\r\n", wire.ReasonMethod)
		}
	}
	return cases
}
