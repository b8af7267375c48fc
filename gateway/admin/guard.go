package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"wxgate/gateway/answer"
	"wxgate/lograte"
)

// identify says who sends a request, and refuses whoever has no token. If none is set, being on this machine is the
// operator's permission, which the remote address proves and no header can. A browser runs here too, so requests that a
// foreign web page could send are refused: by their Origin, by Sec-Fetch-Site, which a picture has too, and by a name that
// such a page has pointed at 127.0.0.1 (DNS rebinding), which the Host still shows.
func (c Credentials) identify(r *http.Request) (*Service, error) {
	switch {
	case !sameOrigin(r):
		return nil, fmt.Errorf("%w: the Origin is not this listener", answer.ErrAdminOrigin)
	case fromOtherSite(r) && strings.HasPrefix(r.URL.Path, "/api/"):
		return nil, fmt.Errorf("%w: a page of another site asks", answer.ErrAdminOrigin)
	}
	if c.Operator != "" {
		service, operator := c.find(bearerToken(r))
		if service == nil && !operator {
			return nil, answer.ErrAdminToken
		}
		return service, nil
	}
	switch {
	case !onThisMachine(r.RemoteAddr):
		return nil, fmt.Errorf("%w: without server.admin_token it answers this machine alone", answer.ErrAdminOrigin)
	case !loopbackHost(hostOf(r.Host)):
		return nil, fmt.Errorf("%w: without server.admin_token the Host must be a loopback one", answer.ErrAdminOrigin)
	}
	return nil, nil
}

// guarded serves only requests of the operator, and of services. Which of these a service may send, permitted decides.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service, err := s.deps.Credentials().identify(r)
		switch {
		case err != nil:
			s.deps.LimitedLog.Warn(lograte.Kind{Message: "admin request refused"}, "from", r.RemoteAddr, "error", err)
			s.responder.fail(w, err)
		case service == nil:
			next.ServeHTTP(w, r)
		default:
			s.serviceCalls.serve(w, r, service, next)
		}
	})
}

// sameOrigin reports whether a request comes from no browser, or from a page that this listener served.
func sameOrigin(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	return true
}

// fromOtherSite reports whether a browser says that a page of another origin asks.
func fromOtherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// onThisMachine reports whether a peer is on loopback, or on a Unix socket, which has no address.
func onThisMachine(peer string) bool {
	addr, err := netip.ParseAddrPort(peer)
	return err == nil && addr.Addr().Unmap().IsLoopback() || peer == "" || peer == "@"
}

// hostOf is a Host header without port and brackets.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}

// bearerToken is the bearer token of a request, "" when there is none or more than one Authorization header.
func bearerToken(r *http.Request) string {
	const scheme = "Bearer "
	values := r.Header["Authorization"]
	if len(values) != 1 || len(values[0]) <= len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return ""
	}
	return strings.Trim(values[0][len(scheme):], " ")
}
