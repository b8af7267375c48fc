package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"wxgate/gateway/answer"
	"wxgate/lograte"
	"wxgate/secret"
)

// guard decides who may use the admin listener.
type guard struct {
	tokenRequired bool              // server.admin_token is set
	token         [sha256.Size]byte // its hash, so that comparing takes constant time for any length
}

func newGuard(token secret.Text) guard {
	return guard{token.Reveal() != "", sha256.Sum256([]byte(token.Reveal()))}
}

// check refuses callers without the token. If none is set, being on this machine is the permission, which the remote
// address proves and no header can. A browser runs here too, so requests that a foreign web page could send are
// refused: by their Origin, and by a name that such a page has pointed at 127.0.0.1 (DNS rebinding), which the Host
// still shows.
func (g guard) check(r *http.Request) error {
	switch {
	case !sameOrigin(r):
		return fmt.Errorf("%w: the Origin is not this listener", answer.ErrAdminOrigin)
	case !g.tokenRequired && !onThisMachine(r.RemoteAddr):
		return fmt.Errorf("%w: without server.admin_token it answers this machine alone", answer.ErrAdminOrigin)
	case !g.tokenRequired && !loopbackHost(hostOf(r.Host)):
		return fmt.Errorf("%w: without server.admin_token the Host must be a loopback one", answer.ErrAdminOrigin)
	case g.tokenRequired && !g.matches(bearerToken(r)):
		return answer.ErrAdminToken
	}
	return nil
}

func (g guard) matches(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// guarded serves only requests that pass the guard.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := newGuard(s.deps.Token()).check(r); err != nil {
			s.deps.LimitedLog.Warn(lograte.Kind{Message: "admin request refused"}, "from", r.RemoteAddr, "error", err)
			s.responder.fail(w, err)
			return
		}
		next.ServeHTTP(w, r)
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
