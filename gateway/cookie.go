package gateway

import (
	"bytes"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

func isCookie(name []byte) bool { return bytes.EqualFold(name, []byte(fiber.HeaderCookie)) }

// joinedCookies are the cookies as the client wrote them, nil when there are none. Several lines become one, as HTTP/2
// has it (RFC 9113 §8.2.3).
func joinedCookies(in *fasthttp.RequestHeader) (cookies []byte) {
	for name, value := range fieldLines(in) {
		switch {
		case !isCookie(name):
		case cookies == nil:
			cookies = append([]byte{}, value...)
		default:
			cookies = append(append(cookies, "; "...), value...)
		}
	}
	return cookies
}
