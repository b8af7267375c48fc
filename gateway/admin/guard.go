package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"wxgate/gateway/admin/dashboard"
	"wxgate/gateway/answer"
	"wxgate/lograte"
)

// caller is who sends a request: a service, or the operator by one of three proofs.
type caller struct {
	service *Service           // nil: the operator
	session *dashboard.Session // of the dashboard; nil: none
	token   bool               // server.admin_token
}

// String is the caller in the log.
func (c caller) String() string {
	switch {
	case c.service != nil:
		return "service(" + c.service.Name + ")"
	case c.session != nil:
		return byOf(*c.session)
	case c.token:
		return "token"
	}
	return "loopback"
}

// callerKey is the key of the caller in the context of a request.
type callerKey struct{}

func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// admit refuses what no caller may send. If no token is set, being on this machine is the operator's permission, which the
// remote address proves and no header can. A browser runs here too, so requests that a foreign web page could send are refused: by
// their Origin, by Sec-Fetch-Site, which a picture has too, and by a name that such a page has pointed at 127.0.0.1 (DNS
// rebinding), which the Host still shows. With a token the Host may be any name: cookies and tokens do not follow to another.
func (c Credentials) admit(r *http.Request) error {
	switch {
	case !sameOrigin(r):
		return fmt.Errorf("%w: the Origin is not this listener", answer.ErrAdminOrigin)
	case fromOtherSite(r) && strings.HasPrefix(r.URL.Path, "/api/"):
		return fmt.Errorf("%w: a page of another site asks", answer.ErrAdminOrigin)
	case c.Operator != "":
		return nil
	case !onThisMachine(r.RemoteAddr):
		return fmt.Errorf("%w: without server.admin_token it answers this machine alone", answer.ErrAdminOrigin)
	case !loopbackHost(hostOf(r.Host)):
		return fmt.Errorf("%w: without server.admin_token the Host must be a loopback one", answer.ErrAdminOrigin)
	}
	return nil
}

// identify says who sends a request that is admitted, and refuses whoever has no proof. What a browser changes always takes
// more than being on this machine: whatever page it shows is there too.
func (s *Server) identify(r *http.Request, c Credentials) (caller, error) {
	if token := bearerToken(r); token != "" && c.Operator != "" {
		service, operator := c.find(token)
		if service == nil && !operator {
			return caller{}, answer.ErrAdminToken
		}
		return caller{service: service, token: operator}, nil
	}
	session, _, found := s.console.session(r, c.Operator)
	switch {
	case found && changes(r) && r.Header.Get("Origin") == "": // which browsers send with every change
		return caller{}, fmt.Errorf("%w: a change by a session of the dashboard needs an Origin", answer.ErrAdminOrigin)
	case found:
		return caller{session: &session}, nil
	case c.Operator != "":
		return caller{}, answer.ErrAdminToken
	case changes(r) && fromBrowser(r):
		return caller{}, answer.ErrDashboardSession
	}
	return caller{}, nil
}

// admitted serves what needs no proof of who asks.
func (s *Server) admitted(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.deps.Credentials().admit(r); err != nil {
			s.refuse(w, r, err)
			return
		}
		next(w, r)
	})
}

// guarded serves only requests of the operator, and of services. Which of these a service may send, permitted decides.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials := s.deps.Credentials()
		err := credentials.admit(r)
		var who caller
		if err == nil {
			who, err = s.identify(r, credentials)
		}
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
		switch {
		case err != nil:
			s.refuse(w, r, err)
		case who.service == nil:
			next.ServeHTTP(w, r)
		default:
			s.serviceCalls.serve(w, r, who.service, next)
		}
	})
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.deps.LimitedLog.Warn(lograte.Kind{Message: "admin request refused"}, "from", r.RemoteAddr, "error", err)
	s.responder.fail(w, err)
}

// changes reports whether a request may change something.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// fromBrowser reports whether a browser has sent a request. All of them send one of the headers with a change.
func fromBrowser(r *http.Request) bool {
	for name := range r.Header {
		if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

// sameOrigin reports whether a request comes from no browser, or from a page that this listener served. Whoever is on the way to a
// listener with TLS can serve a page under http: of the same name and port.
func sameOrigin(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) || r.TLS != nil && u.Scheme != "https" {
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
