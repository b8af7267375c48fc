package gateway

import (
	"bytes"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// setVia adds us to the gateways that the request has passed, as a gateway must (RFC 9110 §7.6.3): one line, in order,
// with the version that the client spoke and no more of us than the name.
func setVia(in, out *fasthttp.RequestHeader) {
	via := bytes.Join(in.PeekAll(fiber.HeaderVia), []byte(", "))
	if len(via) > 0 {
		via = append(via, ", "...)
	}
	version := "1.1"
	if !in.IsHTTP11() {
		version = "1.0"
	}
	out.SetBytesV(fiber.HeaderVia, append(via, version+" wxgate"...))
}
