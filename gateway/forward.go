package gateway

import (
	"bytes"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
)

// forward sends the request to its route's upstream and hands the answer on. The inbound request is never sent: a new
// one is built from what may pass, and identity is set last.
func (g *Gateway) forward(c *fiber.Ctx, ex *exchange) error {
	if asksForWebSocket(&c.Request().Header) {
		return g.openWebSocket(c, ex)
	}
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	g.buildRequest(c, ex, req)
	waiting := g.watch.begin(c)
	defer g.watch.end(waiting)
	exchanged, err := ex.route.upstream.DoUntil(req, c.Response(), ex.start.Add(ex.route.timeout), &waiting.stop)
	ex.upstreamTime, ex.attempts = exchanged.Duration, exchanged.Attempts
	if err != nil {
		return err
	}
	g.endWithConnection(c)
	return nil
}

// buildRequest makes the outbound request. The order matters: end-to-end headers first, then what we say of the
// request, then who it is from, so that nothing inbound can undo the latter.
func (g *Gateway) buildRequest(c *fiber.Ctx, ex *exchange, req *fasthttp.Request) {
	in := &c.Request().Header
	out := &req.Header
	out.DisableNormalizing()
	out.SetNoDefaultContentType(true)
	out.SetMethodBytes(in.Method())
	out.SetRequestURIBytes(ex.upstreamTarget())
	out.SetHostBytes(in.Host())
	g.copyEndToEnd(in, out)
	g.setForwarded(c, req)
	setVia(in, out)
	out.Set(headerRequestID, ex.id)
	if subject, known := authn.SubjectOf(c); known {
		g.injectIdentity(req, subject)
	}
	if ex.body.stream != nil { // after all fields: its framing is replaced, and the gap is then the last one
		req.SetBodyStream(&ex.body, int(ex.body.size))
	}
}

// copyEndToEnd copies the headers that are meant for the service: not those of this connection (RFC 9110 §7.6.1), not
// those that Connection names, not those that we set ourselves, and no trailer field.
func (g *Gateway) copyEndToEnd(in, out *fasthttp.RequestHeader) {
	named := connectionNames(in)
	for name, value := range in.All() {
		if hopByHop(name) || setByUs(name) || named.hold(name) {
			continue
		}
		if !g.cfg.Identity.ForwardAuthorization && bytes.EqualFold(name, []byte(fiber.HeaderAuthorization)) {
			continue
		}
		if string(name) == "Cookie" {
			copyCookies(in, out)
			continue
		}
		out.AddBytesKV(name, value)
	}
}

// hopByHop says whether a header belongs to one connection alone. Expect is answered by us, and framing is set anew.
func hopByHop(name []byte) bool {
	switch string(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Http2-Settings", "Expect", "Content-Length":
		return true
	}
	return false
}

// setByUs says whether a header is one that buildRequest sets, or one that could be taken for it.
func setByUs(name []byte) bool {
	if len(name) > len("X-Forwarded-") && string(name[:len("X-Forwarded-")]) == "X-Forwarded-" {
		return true
	}
	switch string(name) {
	case "Host", "Forwarded", "X-Real-Ip", "X-Request-Id", "X-Original-Forwarded-For", "X-Original-Url", "X-Rewrite-Url", "Via":
		return true
	}
	return false
}

// headerNames are names that Connection lists.
type headerNames [][]byte

func connectionNames(in *fasthttp.RequestHeader) headerNames {
	var names headerNames
	for _, line := range in.PeekAll(fiber.HeaderConnection) {
		for _, name := range bytes.Split(line, []byte{','}) {
			names = append(names, bytes.TrimSpace(name))
		}
	}
	return names
}

func (n headerNames) hold(name []byte) bool {
	for _, listed := range n {
		if bytes.EqualFold(listed, name) {
			return true
		}
	}
	return false
}

// upstreamTarget is the request target as it is sent on: the very bytes that came, less the route's strip_prefix.
func (ex *exchange) upstreamTarget() []byte {
	prefix := ex.route.stripPrefix
	if prefix == "" {
		return ex.target.raw
	}
	stripped, _ := cutPrefix(ex.target.raw, prefix)
	if len(stripped) == 0 || stripped[0] != '/' {
		return append([]byte{'/'}, stripped...)
	}
	return stripped
}

// cutPrefix cuts the segments of prefix off a raw target. The route has matched them decoded, so the raw ones are
// counted, not compared.
func cutPrefix(raw []byte, prefix string) ([]byte, bool) {
	segments := bytes.Count(bytes.TrimSuffix([]byte(prefix), []byte{'/'}), []byte{'/'})
	for i := 1; i < len(raw); i++ {
		if raw[i] == '?' {
			return raw[i:], segments == 1
		}
		if raw[i] == '/' {
			if segments--; segments == 0 {
				return raw[i:], true
			}
		}
	}
	return nil, segments == 1
}
