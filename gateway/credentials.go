package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"wxgate/gateway/credential"
	"wxgate/gateway/header"
	"wxgate/input"
	"wxgate/message"
)

// takeCredential returns the token of the request as it was written, "" if there is none, and cuts the one of the query
// from the target.
func takeCredential(ex *Exchange) string {
	text := credentialOf(ex)
	if name := ex.route.tokenQuery; name != "" && ex.route.endpoint == nil {
		ex.target.Raw = credential.CutParameters(ex.target.Raw, name)
	}
	return text
}

// credentialOf returns the token of the request as it was written, "" if there is none. Different tokens are a list, which is
// nobody's.
func credentialOf(ex *Exchange) string {
	if !ex.snapshot.elsewhere && ex.route.tokenQuery == "" {
		return header.Authorization(&ex.request.Fields)
	}
	var found credential.Found
	eachCredential(ex, func(_ credential.Place, text string) { found.Add(text) })
	return found.Credential()
}

// eachCredential visits the places of the request that may hold its token, and count.
func eachCredential(ex *Exchange, visit credential.Visit) {
	fields, places := &ex.request.Fields, ex.snapshot.reserved.places
	if ex.classes&header.ClassToken != 0 {
		places.Headers(fields, visit)
	}
	if ex.classes&header.ClassCookie != 0 && len(places.Cookies()) > 0 {
		if ex.cookiesRefused = !acceptsCookies(ex); !ex.cookiesRefused {
			places.EachCookie(fields, visit)
		}
	}
	if ex.classes&header.ClassSubprotocols != 0 && isWebSocketUpgrade(ex) {
		places.Subprotocols(fields, visit)
	}
	if ex.route.tokenQuery != "" && isSafe(ex.method) {
		credential.EachParameter(ex.target.Raw, ex.route.tokenQuery, visit)
	}
}

// isSafe reports whether a method is one that a page of another origin may use without harm.
func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// acceptsCookies reports whether a token from a cookie counts. Browsers send cookies along with what any page asks for,
// so a request that could change something must come from a page of our own.
func acceptsCookies(ex *Exchange) bool {
	fields := &ex.request.Fields
	switch {
	case isSafe(ex.method) && !isWebSocketUpgrade(ex) && !ex.route.ours.changes():
		return true
	case fields.Has("Origin"):
		origin := header.One(fields, "Origin")
		return isOwnOrigin(ex, origin) || ex.route.cors.Names(origin)
	}
	return header.One(fields, "Sec-Fetch-Site") == "same-origin"
}

// setsCookie reports whether a login may set its cookie: for a program, which says nothing of a page, and for pages of our
// own. A page of another origin could otherwise log its visitors in as somebody else.
func setsCookie(ex *Exchange) bool {
	fields := &ex.request.Fields
	if fields.Has("Origin") {
		origin := header.One(fields, "Origin")
		return isOwnOrigin(ex, origin) || ex.route.cors.Names(origin)
	}
	return !fields.Has("Sec-Fetch-Site") || header.One(fields, "Sec-Fetch-Site") == "same-origin"
}

// isOwnOrigin reports whether an origin is that of the request itself.
func isOwnOrigin(ex *Exchange, origin string) bool {
	scheme, host, found := strings.Cut(origin, "://")
	if !found || scheme != "https" && scheme != ex.forwardedProto() { // TLS may end at a proxy that we do not know
		return false
	}
	return host != "" && strings.EqualFold(withoutDefaultPort(scheme, host), withoutDefaultPort(scheme, string(ex.forwardedHost())))
}

// withoutDefaultPort is a host as Origin has it (RFC 6454 §6.2).
func withoutDefaultPort(scheme, host string) string {
	return strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
}

// withheldCookies are the names of cookies that the service does not get.
func withheldCookies(ex *Exchange) []string {
	if ex.cookiesRefused || !ex.snapshot.cfg.Identity.ForwardAuthorization {
		return ex.snapshot.secretCookies
	}
	return ex.snapshot.ownCookies
}

// addSubprotocols adds the offer of a WebSocket without the token in it.
func addSubprotocols(ex *Exchange, in, out *message.Fields) {
	ex.joined, ex.subprotocol = ex.snapshot.reserved.places.AppendSubprotocols(ex.joined[:0], in)
	if len(ex.joined) > 0 {
		out.AddBytes([]byte(headerWebSocketProtocol), ex.joined)
	}
}

// selectSubprotocol answers a client that offered its token as a subprotocol: it fails unless one of its offer is
// selected.
func selectSubprotocol(ex *Exchange) {
	if ex.subprotocol != "" && !ex.response.Fields.Has(headerWebSocketProtocol) {
		ex.response.Fields.Add(headerWebSocketProtocol, ex.subprotocol)
	}
}

// validateTokenFrom reports the faults of authn.token_from.
func (c Config) validateTokenFrom(ours *reservedHeaders) (f input.Faults) {
	if len(c.TokenFrom) == 0 {
		f.Add("token_from", "is empty, so no token would ever be found; leave it out for [Authorization]")
	}
	if len(c.TokenFrom) > maxTokenPlaces {
		f.Add("token_from", "has %d entries; %d are the most", len(c.TokenFrom), maxTokenPlaces)
	}
	var seen []credential.Place
	for i, entry := range c.TokenFrom {
		path := fmt.Sprintf("token_from[%d]", i)
		place, err := credential.ParsePlace(entry)
		if err != nil {
			f.Add(path, "%v", err)
			continue
		}
		if place.Kind == credential.Header {
			ours.validateTokenHeader(&f, path, place.Name)
			place.Name = header.Fold(place.Name)
		}
		if slices.Contains(seen, place) {
			f.Add(path, "%s is listed twice", entry)
		}
		seen = append(seen, place)
	}
	return f
}

// validateSetCookie reports the faults of authn.set_cookie.
func (c Config) validateSetCookie() (f input.Faults) {
	if c.SetCookie == "" {
		return nil
	}
	cookie, err := credential.ParseSetCookie(c.SetCookie)
	switch {
	case err != nil:
		f.Add("set_cookie", "%v", err)
	case !slices.Contains(c.TokenFrom, "cookie:"+cookie.Name):
		f.Add("set_cookie", "sets a cookie that nobody reads; add cookie:%s to authn.token_from", cookie.Name)
	}
	return f
}

// maxTokenPlaces bounds authn.token_from: each place is looked for in each request.
const maxTokenPlaces = 8

// validateTokenHeader refuses headers that mean something else to us or to services.
func (r *reservedHeaders) validateTokenHeader(f *input.Faults, path, name string) {
	class := header.ClassOf([]byte(name))
	switch {
	case r.identifies(name):
		f.Add(path, "%s says who is calling; only the gateway may set it", name)
	case class&^header.ClassAuthorization != 0 || strings.HasPrefix(header.Fold(name), "sec-") || r.claims.Of([]byte(name)) != header.NoClaim:
		f.Add(path, "%s means something else; a token cannot stand there", name)
	}
}

// validateTokenQuery reports the faults of routes[].token_query.
func (r RouteConfig) validateTokenQuery(f *input.Faults) {
	if r.TokenQuery == "" {
		return
	}
	if err := credential.CheckName(r.TokenQuery); err != nil {
		f.Add("token_query", "%v", err)
	}
	switch r.Auth {
	case AuthNone:
		f.Add("token_query", "has no effect with auth: none, which looks at no token")
	case AuthPrefetch:
		f.Add("token_query", "conflicts with auth: prefetch, which reads ?token by itself")
	case AuthRequired, AuthOptional:
	}
}
