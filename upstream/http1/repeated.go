package http1

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// addField puts a field line into resp. fasthttp keeps one line alone of three names, the last: of these, a list
// becomes one line (RFC 9110 §5.3), and two Content-Types that disagree are refused, for who reads the first sees
// another document than who reads the last (§8.3).
func addField(resp *fasthttp.Response, name, value []byte) error {
	h := &resp.Header
	switch {
	case equalFold(name, "content-type"):
		if held := h.ContentType(); len(held) > 0 && !bytes.Equal(held, value) {
			return invalid("different Content-Types")
		}
	case equalFold(name, "content-encoding"):
		value = join(h.ContentEncoding(), ", ", value)
	case equalFold(name, "server"):
		value = join(h.Server(), " ", value) // products are separated by white space (§10.2.4)
	}
	h.AddBytesKV(name, value)
	return nil
}

func join(held []byte, separator string, value []byte) []byte {
	if len(held) == 0 {
		return value
	}
	return bytes.Join([][]byte{held, value}, []byte(separator))
}
