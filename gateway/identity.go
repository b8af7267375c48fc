package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/gateway/credential"
	"wxgate/gateway/header"
	"wxgate/input"
	"wxgate/lograte"
	"wxgate/message"
)

// maxIdentityValue bounds the value of an identity header, in bytes; a nickname of 64 characters has at most 768.
const maxIdentityValue = 1024

// identityHeader is one header that a service may rely on.
type identityHeader struct {
	name    string
	field   identityField
	literal string // its value; "": that of the field
}

// literalPrefix begins a value of identity.headers that is the same for every user.
const literalPrefix = "literal:"

// newIdentityHeaders sorts them, so that requests look the same after a restart.
func newIdentityHeaders(cfg IdentityConfig) []identityHeader {
	var headers []identityHeader
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		made := identityHeader{name: name, field: cfg.Headers[name]}
		if literal, fixed := strings.CutPrefix(string(made.field), literalPrefix); fixed {
			made.literal = literal
		}
		headers = append(headers, made)
	}
	return headers
}

// carries reports whether a header is to carry the field.
func (c IdentityConfig) carries(field identityField) bool {
	for _, f := range c.Headers {
		if f == field {
			return true
		}
	}
	return false
}

// reservedHeaders are the header names that only the gateway may set.
type reservedHeaders struct {
	names  []string // folded
	claims *header.Claims
	places *credential.Places                  // of tokens
	allow  []string                            // exact names that pass
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
	r := &reservedHeaders{claims: header.NewClaims(), places: credential.NewPlaces(cfg.TokenFrom), allow: cfg.Identity.Allow}
	for name := range cfg.Identity.Headers {
		r.names = append(r.names, header.Fold(name))
	}
	for _, other := range cfg.Issuers {
		for name := range other.Headers {
			r.names = append(r.names, header.Fold(name))
		}
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
	if len(name) < 3 || name[0]|0x20 != 'x' || r.places.ClassOf(name) == header.ClassToken || r.allows(name) {
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

// allows reports whether the operator lets a header pass by its exact name, in any case.
func (r *reservedHeaders) allows(name []byte) bool {
	return slices.ContainsFunc(r.allow, func(allowed string) bool { return message.EqualFold(name, allowed) })
}

// validateAllow reports the faults of identity.allow.
func (c IdentityConfig) validateAllow(ours *reservedHeaders) (f input.Faults) {
	if len(c.Allow) > maxAllowed {
		f.Add("allow", "has %d names; %d are the most", len(c.Allow), maxAllowed)
	}
	for i, name := range c.Allow {
		path, folded := fmt.Sprintf("allow[%d]", i), header.Fold(name)
		switch {
		case !validToken(name):
			f.Add(path, "%q is not a header name", name)
		case strings.Contains(name, "*"):
			f.Add(path, "%q is a pattern; list each name", name)
		case ours.isIngress([]byte(name)):
			f.Add(path, "%s is for 微信网关 to say; name its exit nodes in server.wechat_gateway", name)
		case ours.identifies(name):
			f.Add(path, "%s says who is calling; only the gateway may set it", name)
		case ours.claims.Of([]byte(name)) == header.ForwardingClaim || header.Owned([]byte(name)):
			f.Add(path, "%s says how a request came; only a proxy in server.trusted_proxies may", name)
		case !strings.HasPrefix(folded, "x-user-") && !strings.HasPrefix(folded, "x-wx-"):
			f.Add(path, "%s does not look like identity, so it passes without this line", name)
		case slices.ContainsFunc(c.Allow[:i], func(other string) bool { return strings.EqualFold(other, name) }):
			f.Add(path, "%s is listed twice", name)
		}
	}
	return f
}

// allowable reports whether identity.allow may name a header.
func (r *reservedHeaders) allowable(name string) bool {
	return len(IdentityConfig{Allow: []string{name}}.validateAllow(r)) == 0
}

// maxAllowed bounds identity.allow.
const maxAllowed = 32

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
	case r.isIngress(name):
		class |= header.ClassIngress
	case claim == header.IdentityClaim || r.contains(name):
		class |= header.ClassIdentity
	case claim == header.ForwardingClaim:
		class |= header.ClassForwarding
	}
	return class
}

// isIngress reports whether 微信网关 alone may send a header; none that identity.headers or authn.issuers name is.
func (r *reservedHeaders) isIngress(name []byte) bool {
	return header.Ingress(name) && !slices.Contains(r.names, header.Fold(string(name))) && r.places.ClassOf(name)&header.ClassToken == 0
}

// stripIdentity removes, on every route, headers that could be taken for our identity headers, and counts them.
func (c *clientResolver) stripIdentity(ex *Exchange) error {
	readCloudRun(ex)
	if ex.cloud = cloudIdentity(ex); ex.cloud == nil {
		c.warnUnsignedBody(ex)
	}
	stripped := header.ClassIdentity
	if !ex.ingress {
		stripped |= header.ClassIngress
		c.warnUnknownIngress(ex)
	}
	if ex.classes&header.ClassIdentity != 0 {
		readQuestion(ex)
	}
	if ex.classes&stripped != 0 {
		c.logStripped(ex, stripped)
		c.metrics.stripped.Add(float64(ex.request.Fields.DeleteClass(stripped)))
	}
	return ex.next()
}

// logStripped names the headers that are about to be removed: of each request at debug, and once a minute at info, because
// a service that misses one sees only that it is not there. Those of a platform that is believed are none.
func (c *clientResolver) logStripped(ex *Exchange, stripped header.Class) {
	if ex.cloud != nil {
		return
	}
	debug, due := c.log.Enabled(context.Background(), slog.LevelDebug), c.removals.Pass(ex.start, time.Minute)
	if !debug && !due {
		return
	}
	var names, allowable []byte
	for i := range ex.request.Fields.Len() {
		name, _ := ex.request.Fields.Line(i)
		if ex.request.Fields.Class(i)&stripped == 0 {
			continue
		}
		names = append(append(names, name...), ' ')
		if due && ex.snapshot.reserved.allowable(string(name)) {
			allowable = append(append(allowable, name...), ' ')
		}
	}
	headers := lograte.Clip(bytes.TrimRight(names, " "))
	c.log.Debug("headers that look like identity were removed", "headers", headers, "request_id", ex.id)
	switch {
	case due && len(allowable) > 0:
		c.log.Info("headers that look like identity are removed; identity.allow lets exact names pass", "headers", headers,
			"allowable", lograte.Clip(bytes.TrimRight(allowable, " ")), "request_id", ex.id)
	case due:
		c.log.Info("headers that look like identity are removed; identity.allow cannot let these pass", "headers", headers, "request_id", ex.id)
	}
}

// injectIdentity adds the identity headers of a request that is about to be sent to a service. out was built by us and has
// none of them yet; a request without a user gets none.
func (ex *Exchange) injectIdentity(out *message.Fields, subject *authn.Subject, service string) error {
	for _, h := range ex.snapshot.identity {
		value := h.literal
		if value == "" {
			value = h.field.valueFor(subject)
		}
		if value != "" {
			out.Add(h.name, value)
		}
	}
	if ex.snapshot.signer == nil {
		return nil
	}
	proof, err := ex.snapshot.signer.Sign(subject.UserID, subject.OpenID, service, ex.id)
	if err != nil {
		return err
	}
	out.Add(ex.snapshot.cfg.Identity.Signed.Header, proof)
	return nil
}

// callerHeader is a header that tells services a claim of a caller.
type callerHeader struct{ name, claim string }

// newCallerHeaders are those of an issuer, sorted by name.
func newCallerHeaders(cfg issuer.Config) []callerHeader {
	all := make([]callerHeader, 0, len(cfg.Headers))
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		all = append(all, callerHeader{name, cfg.Headers[name]})
	}
	return all
}

// injectCaller adds what services are told about a caller of another issuer, instead of identity headers. The names are
// those that this snapshot has removed from the request, whatever a reload has made of the issuer since.
func (r *routeEntry) injectCaller(out *message.Fields, caller *issuer.Caller) {
	for _, h := range r.callerHeaders {
		if value := caller.Claim(h.claim); value != "" {
			out.Add(h.name, headerValue(value))
		}
	}
}

// validateIssuerHeaders reports headers of authn.issuers that a service could take for others that say who is calling:
// an administrator must never be taken for a user, nor for an administrator of another issuer.
func (c Config) validateIssuerHeaders() (f input.Faults) {
	spelled := map[string]string{header.Fold(c.Identity.Signed.Header): "identity.signed.header"}
	for name := range c.Identity.Headers {
		spelled[header.Fold(name)] = "identity.headers." + name
	}
	for i, other := range c.Issuers {
		for _, name := range slices.Sorted(maps.Keys(other.Headers)) {
			path, folded := fmt.Sprintf("issuers[%d].headers.%s", i, name), header.Fold(name)
			validateHeader(&f, path, name)
			switch {
			case spelled[folded] != "":
				f.Add(path, "a service could take it for that of %s", spelled[folded])
			case folded == "x-user" || strings.HasPrefix(folded, "x-user-") || strings.HasPrefix(folded, "x-wx-") || strings.HasPrefix(folded, "x-wxgate-"):
				f.Add(path, "is a name for users of the mini-program; choose another, such as X-Admin-Id")
			}
			spelled[folded] = "authn." + path
		}
	}
	return f
}

// valueFor is the value of the field in visible ASCII.
func (f identityField) valueFor(s *authn.Subject) string {
	switch f {
	case fieldID:
		return strconv.FormatInt(s.UserID, 10)
	case fieldOpenID:
		return headerValue(s.OpenID)
	case fieldUnionID:
		return headerValue(s.UnionID)
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
