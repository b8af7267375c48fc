package gateway

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// copyCookies passes the cookies as the client wrote them. fasthttp takes them apart and writes them anew, without the
// quotes that belong to a value (RFC 6265 §4.1.1) and without empty names. Several lines become one, as HTTP/2 has it
// (RFC 9113 §8.2.3).
func copyCookies(in, out *fasthttp.RequestHeader) {
	var cookies []byte
	for line := range bytes.SplitSeq(in.RawHeaders(), []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if !bytes.EqualFold(name, []byte("cookie")) {
			continue
		}
		if cookies != nil {
			cookies = append(cookies, "; "...)
		}
		cookies = append(cookies, bytes.Trim(value, " \t")...)
	}
	out.DisableSpecialHeader() // else they would be taken apart here
	out.AddBytesV("Cookie", cookies)
	out.EnableSpecialHeader()
}
