package wiretest

import "wxgate/gateway/wire"

// size is a case about the line that begins a chunk: good is what passes, bad what does not.
func size(name, good, bad string, want wire.Reason) Case {
	return Case{Name: name, Rule: "§7.1", Pass: chunkedHead + good, Held: bad, Want: want}
}

var chunkCases = []Case{
	size("one chunk", "5\r\nhello\r\n0\r\n\r\n", "", ""),
	size("two chunks", "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "", ""),
	size("capital hexadecimal", "A\r\n0123456789\r\n0\r\n\r\n", "", ""),
	size("small hexadecimal", "a\r\n0123456789\r\n0\r\n\r\n", "", ""),
	size("zeros in front", "0005\r\nhello\r\n0\r\n\r\n", "", ""),
	size("many zeros end it", "000\r\n\r\n", "", ""),
	size("fifteen digits", "000000000000005\r\nhello\r\n0\r\n\r\n", "", ""),
	size("crlf as data", "2\r\n\r\n\r\n0\r\n\r\n", "", ""),
	size("a last chunk as data", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "", ""),
	size("extension", "5;a\r\nhello\r\n0\r\n\r\n", "", ""),
	size("extension with a value", "5;a=b\r\nhello\r\n0\r\n\r\n", "", ""),
	size("extension with a quoted value", "5;a=\"b;\\\"\tc\"\r\nhello\r\n0;x=\"\"\r\n\r\n", "", ""),
	size("two extensions", "5;a=b;c\r\nhello\r\n0;d\r\n\r\n", "", ""),
	size("white space in extensions", "5; a = b ; c\r\nhello\r\n0\r\n\r\n", "", ""),
	size("a body that ends early", "5\r\nhel", "", ""),
	size("a body that ends between chunks", "5\r\nhello\r\n", "", ""),
	size("a body that ends before the last crlf", "0\r\n", "", ""),

	size("empty size", "", "\r\nhello\r\n", "bad chunk size"),
	size("sixteen digits", "000000000000000", "5\r\nhello\r\n0\r\n\r\n", "bad chunk size"),
	size("2^64+5", "100000000000000", "05\r\nhello\r\n0\r\n\r\n", "bad chunk size"),
	size("plus", "", "+5\r\nhello\r\n", "bad chunk size"),
	size("minus", "", "-5\r\nhello\r\n", "bad chunk size"),
	size("0x", "0", "x5\r\nhello\r\n", "bad chunk size"),
	size("h suffix", "5", "h\r\nhello\r\n", "bad chunk size"),
	size("underscore", "1", "_0\r\n", "bad chunk size"),
	size("space before", "", " 5\r\nhello\r\n", "bad chunk size"),
	size("space after", "5", " \r\nhello\r\n", "bad chunk size"),
	size("tab after", "5", "\t\r\nhello\r\n", "bad chunk size"),
	size("space before an extension", "5", " ;a\r\nhello\r\n", "bad chunk size"),
	size("letter", "", "g\r\n", "bad chunk size"),
	size("nul", "5", "\x00\r\nhello\r\n", "bad chunk size"),
	size("comma", "5", ",\r\nhello\r\n", "bad chunk size"),
	size("fraction", "5", ".0\r\nhello\r\n", "bad chunk size"),
	size("full-width digit", "", "５\r\nhello\r\n", "bad chunk size"),
	size("lf ends the size", "5", "\nhello\r\n", "bare lf"),
	size("lf ends the last size", "0", "\n\r\n", "bare lf"),
	size("lf ends an extension", "5;a", "\nhello\r\n", "bare lf"),
	size("lf in a quoted value", "5;a=\"", "\n\"\r\nhello\r\n", "bare lf"),
	size("cr alone ends the size", "5\r", "hello\r\n", "bare cr"),
	size("cr cr lf ends the size", "5\r", "\r\nhello\r\n", "bare cr"),
	size("cr in an extension", "5;a\r", "b\r\nhello\r\n", "bare cr"),
	size("no name of an extension", "5;", "\r\nhello\r\n", "bad chunk extension"),
	size("two semicolons", "5;", ";a\r\nhello\r\n", "bad chunk extension"),
	size("no value", "5;a=", "\r\nhello\r\n", "bad chunk extension"),
	size("value without a name", "5;", "=b\r\nhello\r\n", "bad chunk extension"),
	size("two values", "5;a=b", "=c\r\nhello\r\n", "bad chunk extension"),
	size("space at the end of an extension", "5;a ", "\r\nhello\r\n", "bad chunk extension"),
	size("space at the end of a value", "5;a=b ", "\r\nhello\r\n", "bad chunk extension"),
	size("two words in a name", "5;a ", "b\r\nhello\r\n", "bad chunk extension"),
	size("word after a quoted value", "5;a=\"b\"", "c\r\nhello\r\n", "bad chunk extension"),
	size("quoted value without an end", "5;a=\"b", "\r\nhello\r\n", "bad chunk extension"),
	size("control byte in an extension", "5;a", "\x01\r\nhello\r\n", "bad chunk extension"),
	size("control byte in a quoted value", "5;a=\"", "\x01\"\r\nhello\r\n", "bad chunk extension"),
	size("escaped control byte", "5;a=\"\\", "\x7f\"\r\nhello\r\n", "bad chunk extension"),
	size("chunk longer than its size", "5\r\nhello", "x\r\n0\r\n\r\n", "bad chunk end"),
	size("chunk shorter than its size", "5\r\nhell\r", "\n0\r\n\r\n", "bad chunk end"),
	size("lf ends a chunk", "5\r\nhello", "\n0\r\n\r\n", "bad chunk end"),
	size("cr alone ends a chunk", "5\r\nhello\r", "0\r\n\r\n", "bad chunk end"),
	size("no end of a chunk", "5\r\nhello", "0\r\n\r\n", "bad chunk end"),
	size("second size is bad", "5\r\nhello\r\n", "x\r\n", "bad chunk size"),
}

// trailer is a case about the trailer section, which passes whole or not at all.
func trailer(name, section string, want wire.Reason) Case {
	c := Case{Name: name, Rule: "§7.1.2", Pass: chunkedHead + "5\r\nhello\r\n0\r\n", Held: section, Want: want}
	if want == "" {
		c.Pass, c.Held = c.Pass+section, ""
	}
	return c
}

var trailerCases = []Case{
	trailer("one", "X-Checksum: 1\r\n\r\n", ""),
	trailer("two", "A: b\r\nC: d\r\n\r\n", ""),
	trailer("identity is the gateway's to drop", "X-User-Id: 1\r\n\r\n", ""),

	trailer("transfer-encoding", "Transfer-Encoding: chunked\r\n\r\n", "forbidden trailer"),
	trailer("content-length", "Content-Length: 5\r\n\r\n", "forbidden trailer"),
	trailer("host", "hOST: h\r\n\r\n", "forbidden trailer"),
	trailer("trailer", "Trailer: a\r\n\r\n", "forbidden trailer"),
	trailer("authorization", "Authorization: Bearer x\r\n\r\n", "forbidden trailer"),
	trailer("cookie", "Cookie: a=b\r\n\r\n", "forbidden trailer"),
	trailer("connection", "Connection: close\r\n\r\n", "forbidden trailer"),
	trailer("x-forwarded-for", "X-Forwarded-For: ::1\r\n\r\n", "forbidden trailer"),
	trailer("folded", "A: b\r\n c\r\n\r\n", "folded line"),
	trailer("space before the colon", "A : b\r\n\r\n", "space before colon"),
	trailer("no colon", "nonsense\r\n\r\n", "no colon"),
	trailer("empty name", ": b\r\n\r\n", "bad field name"),
	trailer("a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "bad field name"),
	trailer("bare lf", "A: b\n\r\n", "bare lf"),
	trailer("lf ends it", "\n", "bare lf"),
	trailer("bare cr", "\rA: b\r\n\r\n", "bare cr"),
	trailer("nul", "A: \x00\r\n\r\n", "control byte"),
}

// pipelineCases are more than one message on a connection.
var pipelineCases = []Case{
	{Name: "two gets", Rule: "§9.3.2", Pass: get + end + get + end},
	{Name: "three gets and an empty line", Rule: "§9.3.2", Pass: get + end + "\r\n" + get + end + get + end},
	{Name: "post and get", Rule: "§9.3.2", Pass: post + "Content-Length: 5\r\n\r\nhello" + get + end},
	{Name: "post, an empty line and get", Rule: "§2.2", Pass: post + "Content-Length: 5\r\n\r\nhello\r\n" + get + end},
	{Name: "chunked and get", Rule: "§9.3.2", Pass: chunkedHead + "5\r\nhello\r\n0\r\n\r\n" + get + end},
	{Name: "chunked with a trailer and get", Rule: "§9.3.2", Pass: chunkedHead + "0\r\nA: b\r\n\r\n" + get + end},
	{Name: "chunked and chunked", Rule: "§9.3.2", Pass: chunkedHead + "1\r\na\r\n0\r\n\r\n" + chunkedHead + "2\r\nbc\r\n0\r\n\r\n"},
	{Name: "http/1.0 that stays", Rule: "§9.3", Pass: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get + end},
	{Name: "half a second head", Rule: "§8", Pass: get + end, Held: "GET / HT"},
	{Name: "a trailing empty line", Rule: "§2.2", Pass: post + "Content-Length: 5\r\n\r\nhello", Held: "\r\n"},

	{Name: "body longer than its length", Rule: "§6.3", Pass: post + "Content-Length: 5\r\n\r\nhello", Held: " world\r\n\r\n", Want: "bad method"},
	{Name: "bad second head", Rule: "§3", Pass: get + end, Held: "GET  / HTTP/1.1" + hosted, Want: "bad request line"},
	{Name: "nul after a request", Rule: "§2.2", Pass: get + end, Held: "\x00", Want: "control byte"},
	{Name: "lf after a request", Rule: "§2.2", Pass: get + end, Held: "\n", Want: "bare lf"},
	{Name: "two empty lines after a request", Rule: "§2.2", Pass: get + end, Held: "\r\n\r\n", Want: "empty lines"},
	{Name: "second head without host", Rule: "§3.2", Pass: get + end, Held: "GET / HTTP/1.1\r\n\r\n", Want: "no host"},
	{Name: "chunked, then a bad head", Rule: "§3", Pass: chunkedHead + "0\r\n\r\n", Held: "x\r\n\r\n", Want: "bad request line"},
	{Name: "get, then a bad chunk", Rule: "§7.1", Pass: get + end + chunkedHead, Held: "x\r\n\r\n", Want: "bad chunk size"},
}
