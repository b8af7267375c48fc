package gateway

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/upstream"
)

// maxIdentityValue bounds an identity header's value, in bytes; a nickname of 64 characters has at most 768.
const maxIdentityValue = 1024

// identityHeader is one header that a service may rely on.
type identityHeader struct {
	name  string
	field IdentityField
}

func newIdentityHeaders(cfg IdentityConfig) []identityHeader {
	var headers []identityHeader
	for name, field := range cfg.Headers {
		headers = append(headers, identityHeader{name, field})
	}
	return headers
}

// reserved knows the header names that only we may set.
type reserved struct {
	names map[string]bool // folded
}

func newReserved(cfg IdentityConfig) *reserved {
	r := &reserved{names: make(map[string]bool)}
	for name := range cfg.Headers {
		r.names[fold(name)] = true
	}
	return r
}

// fold writes a header name as a lenient reader could understand it: CGI, WSGI and PHP take _ for -, some take a dot
// (oauth2-proxy CVE-2025-64484, Caddy GHSA-f59h-q822-g45g).
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}

// holds says whether a service could read the header as one of ours. Only names that begin with x in some spelling are
// looked at closely.
func (r *reserved) holds(name []byte) bool {
	if len(name) < 3 || name[0]|0x20 != 'x' {
		return false
	}
	folded := fold(string(name))
	return strings.HasPrefix(folded, "x-user-") || strings.HasPrefix(folded, "x-wx-") ||
		folded == "x-user" || r.names[folded]
}

// stripIdentity removes what could be read as an identity header of ours, on every route, and counts it.
func (g *Gateway) stripIdentity(c *fiber.Ctx) error {
	if forged := upstream.DropFields(&c.Request().Header, g.reserved.holds); forged > 0 {
		g.metrics.stripped.Add(float64(forged))
	}
	return c.Next()
}

// injectIdentity sets the identity headers of a request that is about to be forwarded. req is built by us and holds
// none of them yet; a request of nobody gets none.
func (g *Gateway) injectIdentity(req *fasthttp.Request, subject authn.Subject) {
	for _, h := range g.identity {
		if value := h.field.of(subject); value != "" {
			req.Header.Set(h.name, value)
		}
	}
}

// of is the field's value in visible ASCII.
func (f IdentityField) of(s authn.Subject) string {
	switch f {
	case FieldID:
		return strconv.FormatInt(s.UserID, 10)
	case FieldOpenID:
		return headerValue(s.OpenID)
	case FieldNickname:
		return headerValue(s.Nickname)
	case FieldAppID:
		return headerValue(s.AppID)
	case FieldSession:
		return headerValue(s.SessionID)
	}
	return ""
}

// headerValue percent-encodes everything but visible ASCII, and % itself so that decoding gives the value back
// (encodeURIComponent's inverse reads it). A value too long is cut between characters.
func headerValue(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] > 0x20 && s[i] < 0x7f && s[i] != '%'
	}
	if plain && len(s) <= maxIdentityValue {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		encoded := percentEncode(string(r))
		if b.Len()+len(encoded) > maxIdentityValue {
			break
		}
		b.WriteString(encoded)
	}
	return b.String()
}

func percentEncode(char string) string {
	if len(char) == 1 && char[0] > 0x20 && char[0] < 0x7f && char[0] != '%' {
		return char
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(char) {
		b.WriteByte('%')
		b.WriteByte(digits[char[i]>>4])
		b.WriteByte(digits[char[i]&0x0f])
	}
	return b.String()
}
