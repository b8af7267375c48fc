package gateway

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"wxgate/authn"
	"wxgate/gateway/credential"
	"wxgate/gateway/header"
	"wxgate/message"
)

// maxIdentityValue bounds the value of an identity header, in bytes; a nickname of 64 characters has at most 768.
const maxIdentityValue = 1024

// identityHeader is one header that a service may rely on.
type identityHeader struct {
	name  string
	field identityField
}

// newIdentityHeaders sorts them, so that requests look the same after a restart.
func newIdentityHeaders(cfg IdentityConfig) []identityHeader {
	var headers []identityHeader
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		headers = append(headers, identityHeader{name, cfg.Headers[name]})
	}
	return headers
}

// reservedHeaders are the header names that only the gateway may set.
type reservedHeaders struct {
	names  []string // folded
	claims *header.Claims
	places *credential.Places                  // of tokens
	known  [256]atomic.Pointer[classifiedName] // classes of the names that came first, by knownSlot
}

// classifiedName is a name as a client wrote it, and its class.
type classifiedName struct {
	name  string
	class header.Class
}

// maxKnownName is the longest name that is remembered, in bytes.
const maxKnownName = 64

// knownSlot spreads the names that clients send: most differ in length, first or last letter.
func knownSlot(name []byte) uint8 {
	return uint8(len(name)*37) ^ name[0] ^ name[len(name)-1]<<2 ^ name[len(name)/2]<<4
}

func newReservedHeaders(cfg Config) *reservedHeaders {
	r := &reservedHeaders{claims: header.NewClaims(), places: credential.NewPlaces(cfg.TokenFrom)}
	for name := range cfg.Identity.Headers {
		r.names = append(r.names, header.Fold(name))
	}
	if cfg.Identity.Signed.Header != "" {
		r.names = append(r.names, header.Fold(cfg.Identity.Signed.Header))
	}
	return r
}

// identifies reports whether a header name speaks of who is calling, so that no configuration may let it pass: ours, what
// services take from other proxies, and of the families X-User-* and X-WX-* what one of identityWords is in.
func (r *reservedHeaders) identifies(name string) bool {
	folded := header.Fold(name)
	if slices.Contains(r.names, folded) || r.claims.Of([]byte(name)) == header.IdentityClaim {
		return true
	}
	family, found := "", false
	for _, prefix := range []string{"x-user-", "x-wx-"} {
		if rest, after := strings.CutPrefix(folded, prefix); after {
			family, found = rest, true
		}
	}
	if !found {
		return folded == "x-user" || folded == "x-wx" || strings.HasPrefix(folded, "x-wxgate")
	}
	for word := range strings.SplitSeq(family, "-") {
		if word == "" || strings.HasSuffix(word, "id") || slices.ContainsFunc(identityWords(), func(w string) bool { return strings.Contains(word, w) }) {
			return true
		}
	}
	return false
}

// identityWords are the words by which services name a user, what somebody may do, and whom WeChat Cloud Run vouches for.
func identityWords() []string {
	return []string{
		"openid", "unionid", "appid", "ids", "uin", "sub", "user", "name", "nick", "login", "account", "mail", "phone", "mobile",
		"role", "group", "admin", "level", "vip", "type", "permission", "privilege", "right", "scope", "authorit", "claim", "info", "profile",
		"identi", "principal", "session", "tenant", "org", "member", "staff", "owner", "source", "from", "cloudbase",
	}
}

// contains reports whether a service could take the header for one of ours. All of these begin with x in some spelling.
func (r *reservedHeaders) contains(name []byte) bool {
	if len(name) < 3 || name[0]|0x20 != 'x' || r.places.ClassOf(name) == header.ClassToken {
		return false
	}
	if header.FoldedPrefix(name, "x-user-") || header.FoldedPrefix(name, "x-wx-") || header.FoldedPrefix(name, "x-wxgate-") || header.Folded(name, "x-user") {
		return true
	}
	for _, ours := range r.names {
		if header.Folded(name, ours) {
			return true
		}
	}
	return false
}

// classOf is the class of a name of a request. Clients send the same few names again and again, so the first names are
// remembered; nobody can displace them.
func (r *reservedHeaders) classOf(name []byte) header.Class {
	slot := &r.known[knownSlot(name)]
	known := slot.Load()
	if known != nil && known.name == string(name) {
		return known.class
	}
	class := r.classify(name)
	if known == nil && len(name) <= maxKnownName {
		slot.Store(&classifiedName{string(name), class})
	}
	return class
}

// classify works out the class of a name.
func (r *reservedHeaders) classify(name []byte) header.Class {
	class := header.ClassOf(name) | r.places.ClassOf(name)
	switch claim := r.claims.Of(name); {
	case claim == header.IdentityClaim || r.contains(name):
		class |= header.ClassIdentity
	case claim == header.ForwardingClaim:
		class |= header.ClassForwarding
	}
	return class
}

// stripIdentity removes, on every route, headers that could be taken for our identity headers, and counts them.
func (c *clientResolver) stripIdentity(ex *Exchange) error {
	if ex.cloud = cloudIdentity(ex); ex.cloud == nil {
		c.warnUnsignedBody(ex)
	}
	if ex.classes&header.ClassIdentity != 0 {
		c.metrics.stripped.Add(float64(ex.request.Fields.DeleteClass(header.ClassIdentity)))
	}
	return ex.next()
}

// injectIdentity adds the identity headers of a request that is about to be forwarded. out was built by us and has none
// of them yet; a request without a user gets none.
func (ex *Exchange) injectIdentity(out *message.Fields, subject *authn.Subject) error {
	for _, h := range ex.snapshot.identity {
		if value := h.field.valueFor(subject); value != "" {
			out.Add(h.name, value)
		}
	}
	if ex.snapshot.signer == nil {
		return nil
	}
	proof, err := ex.snapshot.signer.Sign(subject.UserID, subject.OpenID, ex.route.upstreamID, ex.id)
	if err != nil {
		return err
	}
	out.Add(ex.snapshot.cfg.Identity.Signed.Header, proof)
	return nil
}

// valueFor is the value of the field in visible ASCII.
func (f identityField) valueFor(s *authn.Subject) string {
	switch f {
	case fieldID:
		return strconv.FormatInt(s.UserID, 10)
	case fieldOpenID:
		return headerValue(s.OpenID)
	case fieldNickname:
		return headerValue(s.Nickname)
	case fieldAppID:
		return headerValue(s.AppID)
	case fieldSession:
		return headerValue(s.SessionID)
	}
	return ""
}

// headerValue percent-encodes everything but visible ASCII, and % itself so that decoding restores the value
// (decodeURIComponent reads it). A value too long is cut between characters.
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
