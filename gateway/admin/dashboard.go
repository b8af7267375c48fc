package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"wxgate/gateway/admin/dashboard"
	"wxgate/gateway/answer"
	"wxgate/lograte"
	"wxgate/secret"
)

// console serves the dashboard: its page, who is signed in, and what it shows.
type console struct {
	responder responder

	page        *dashboard.Page
	sessions    *dashboard.Sessions
	overviews   *dashboard.Overviews
	credentials func() Credentials
}

// healthTimeout is how long an overview waits for the store.
const healthTimeout = 2 * time.Second

func newConsole(r responder, s *Server) (*console, error) {
	page, err := dashboard.NewPage()
	if err != nil {
		return nil, err
	}
	health := func() dashboard.Health {
		ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
		defer cancel()
		unwritable := s.deps.Store.Ready(ctx)
		return dashboard.Health{Ready: dashboard.Ready{OK: !s.deps.Draining(), But: s.faults(unwritable)}, Writable: unwritable == nil}
	}
	return &console{
		responder: r, page: page, sessions: dashboard.NewSessions(s.deps.Now), credentials: s.deps.Credentials,
		overviews: dashboard.NewOverviews(dashboard.Source{
			Metrics: s.deps.Metrics, Process: s.deps.Process, Routes: s.deps.Routes, Health: health, Now: s.deps.Now,
		}),
	}, nil
}

// register adds what anybody may ask whom the listener answers at all: the page, which holds no data, and signing in.
func (c *console) register(mux *http.ServeMux, admitted func(http.HandlerFunc) http.Handler) {
	mux.Handle("GET /{$}", admitted(func(w http.ResponseWriter, r *http.Request) { c.servePage(w, r, "index.html") }))
	mux.Handle("GET /dashboard/{file...}", admitted(func(w http.ResponseWriter, r *http.Request) { c.servePage(w, r, r.PathValue("file")) }))
	mux.Handle("GET /api/dashboard/session", admitted(c.responder.withKnownQuery(nil, c.responder.handle(c.state))))
	mux.Handle("POST /api/dashboard/session", admitted(c.responder.withKnownQuery(nil, c.signIn)))
	mux.Handle("DELETE /api/dashboard/session", admitted(c.responder.withKnownQuery(nil, c.signOut)))
}

func (c *console) servePage(w http.ResponseWriter, r *http.Request, name string) {
	if !c.page.Serve(w, r, name) {
		c.responder.fail(w, answer.ErrNoRoute)
	}
}

// overview answers GET /api/dashboard.
func (c *console) overview(*http.Request) (any, error) { return c.overviews.Last(), nil }

// routes answers GET /api/dashboard/routes.
func (c *console) routes(*http.Request) (any, error) { return c.overviews.Routes(), nil }

// configuration answers GET /api/dashboard/config.
func (c *console) configuration(*http.Request) (any, error) { return c.overviews.Configuration(), nil }

// SignIn says whether a browser is signed in, and whether it has to be to see anything.
type SignIn struct {
	SignedIn      bool `json:"signed_in"`
	TokenRequired bool `json:"token_required"`
}

// state answers GET /api/dashboard/session.
func (c *console) state(r *http.Request) (any, error) {
	operator := c.credentials().Operator
	_, _, signedIn := c.session(r, operator)
	return SignIn{signedIn, operator != ""}, nil
}

// signIn answers POST /api/dashboard/session.
func (c *console) signIn(w http.ResponseWriter, r *http.Request) {
	c.responder.handle(func(r *http.Request) (any, error) {
		if service, _ := c.credentials().find(bearerToken(r)); service != nil {
			return nil, service.permit(nil)
		}
		with, session, key, err := c.begin(r)
		if err != nil {
			c.responder.limitedLog.Warn(lograte.Kind{Message: "dashboard sign-in refused"}, "from", r.RemoteAddr, "error", err)
			return nil, err
		}
		if _, before, found := c.session(r, c.credentials().Operator); found {
			c.sessions.End(before)
		}
		http.SetCookie(w, sessionCookie(r, key, dashboard.SessionTime))
		c.responder.log.Info("dashboard sign-in", "by", byOf(session), "with", with, "from", r.RemoteAddr)
		return map[string]answer.Time{"expires_at": {Time: session.ExpiresAt}}, nil
	})(w, r)
}

// begin begins a session with the token or the code in the body.
func (c *console) begin(r *http.Request) (with string, session dashboard.Session, key string, err error) {
	body, err := readObject(r, "token", "code")
	if err != nil {
		return "", session, "", err
	}
	if len(body) != 1 {
		return "", session, "", fmt.Errorf("%w: the body has either token or code", answer.ErrInvalidRequest)
	}
	operator := c.credentials().Operator.Reveal()
	for with, value := range body {
		var sent string
		if err := json.Unmarshal(value, &sent); err != nil {
			return "", session, "", fmt.Errorf("%w: %s is no text", answer.ErrInvalidRequest, with)
		}
		if with == "code" {
			session, key, err = c.sessions.SignInByCode(operator, sent)
		} else {
			session, key, err = c.sessions.SignInByToken(peerOf(r), operator, sent)
		}
		return with, session, key, err
	}
	return "", session, "", nil
}

// signOut answers DELETE /api/dashboard/session, also of a browser that is not signed in.
func (c *console) signOut(w http.ResponseWriter, r *http.Request) {
	c.responder.handle(func(r *http.Request) (any, error) {
		if session, key, found := c.session(r, c.credentials().Operator); found {
			c.responder.log.Info("dashboard sign-out", "by", byOf(session), "from", r.RemoteAddr)
			c.sessions.End(key)
		}
		http.SetCookie(w, sessionCookie(r, "", -time.Second))
		return SignIn{false, c.credentials().Operator != ""}, nil
	})(w, r)
}

// Code signs one browser in.
type Code struct {
	Code      string      `json:"code"`
	ExpiresAt answer.Time `json:"expires_at"`
}

// newCode answers POST /api/dashboard/codes, for `wxgate dashboard`. A browser gets none: its session would never end.
func (c *console) newCode(r *http.Request) (any, error) {
	if fromBrowser(r) || callerOf(r).session != nil {
		return nil, fmt.Errorf("%w: codes are made by `wxgate dashboard`", answer.ErrAdminOrigin)
	}
	code, expiresAt := c.sessions.NewCode(c.credentials().Operator.Reveal())
	return Code{code, answer.Time{Time: expiresAt}}, nil
}

// byOf names a session in the log.
func byOf(session dashboard.Session) string { return "dashboard(" + session.ID + ")" }

// cookieName is that of the cookie of a session. Browsers have one set of cookies for all ports of a host, so the port is in it: several
// gateways on localhost do not sign each other out. Over TLS they take one of the prefix __Host- from nobody else (RFC 6265bis §4.1.3).
func cookieName(r *http.Request) string {
	name := "wxgate_dashboard"
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		name += "_" + port
	}
	if r.TLS != nil {
		return "__Host-" + name
	}
	return name
}

// sessionCookie is Secure behind a proxy that speaks TLS too, which the Origin shows.
func sessionCookie(r *http.Request, key string, life time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(r), Value: key, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.HasPrefix(strings.ToLower(r.Header.Get("Origin")), "https://"),
	}
}

// session is the one that a request has the key of. Without TLS a server on another port can set a cookie of the same name, which browsers
// send first if its path is longer: every one is tried.
func (c *console) session(r *http.Request, token secret.Text) (session dashboard.Session, key string, found bool) {
	for _, cookie := range r.CookiesNamed(cookieName(r)) {
		if session, found := c.sessions.Find(token.Reveal(), cookie.Value); found {
			return session, cookie.Value, true
		}
	}
	return dashboard.Session{}, "", false
}

// peerOf is the address of a peer, the zero one on a Unix socket.
func peerOf(r *http.Request) netip.Addr {
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	return addr.Addr()
}
