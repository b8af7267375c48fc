package gateway

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/token"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/answer"
	"wxgate/gateway/credential"
	"wxgate/gateway/header"
	"wxgate/gateway/listen"
	"wxgate/gateway/proof"
	"wxgate/gateway/route"
	"wxgate/message"
	"wxgate/upstream"
)

// Question is a request to explain.
type Question struct {
	Method     string
	Target     string // path and query, as the client sends them
	Host       string
	Headers    []string                  // further header lines: "Name: value"
	BodyLength int64                     // in bytes; 0: no body
	Client     netip.Addr                // the remote address of the connection
	TokenFault func(issuer string) error // why its token is refused by a route for an issuer, "" for us; nil: there is none
}

// Explanation is what the gateway would do with a request, apart from verifying its token.
type Explanation struct {
	Client   string     `json:"client"`                    // the address that limits use; "": refused before it was determined
	Route    *RouteInfo `json:"route,omitempty"`           // nil: none was reached
	Target   string     `json:"target,omitempty"`          // as sent to the upstream
	Sent     []string   `json:"sent,omitempty"`            // the header lines of the client that reach the upstream
	Set      []string   `json:"set,omitempty"`             // the header lines that the gateway adds
	Identity []string   `json:"identity,omitempty"`        // of these, those that identify the user of a token
	Removed  []string   `json:"removed,omitempty"`         // the header lines of the client that do not reach the upstream
	Reasons  []string   `json:"removed_because,omitempty"` // why they do not, and what the path does not have any more
	TokenIn  []string   `json:"token_in,omitempty"`        // the places of authn.token_from and token_query where it has a token
	Refusal  *Refusal   `json:"refusal,omitempty"`         // nil: the request is accepted
	Method   string     `json:"method,omitempty"`          // as sent to the upstream
	CORS     []string   `json:"cors,omitempty"`            // what the answer tells the page that asks; none: it is no page's
	Cloud    bool       `json:"cloud,omitempty"`           // its X-WX-OPENID, or the signature of a cloud function, is believed

	tokenFault func(issuer string) error
}

// Refusal is why a request is refused.
type Refusal struct {
	Status  int    `json:"status"`
	Route   string `json:"route,omitempty"` // host and path of the route that it matched
	Reason  string `json:"reason"`          // of the error table
	Message string `json:"message"`
	Answer  string `json:"answer,omitempty"` // the body that the client gets, and its status where that is another one
	Detail  string `json:"detail,omitempty"` // as in the log
	// Near are, for no_route, the routes that match this path with another method or host.
	Near []RouteInfo `json:"near,omitempty"`
}

// Explain passes a request through the gateway that cfg describes, on an in-memory connection: the strict reader, the
// chain and what would be sent are those of the gateway, but no token is verified and nothing is sent. cfg must be
// valid.
func Explain(cfg Config, q Question) (Explanation, error) {
	var log bytes.Buffer
	cfg.Log.Access = true
	p, err := newOfflinePipeline(cfg, &log)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{tokenFault: q.TokenFault}
	reply, err := roundTrip(p.newServer(e.checkToken, e.recordForward), p.ListenConfig(), q)
	if err != nil {
		return Explanation{}, fmt.Errorf("asking: %w", err)
	}
	if e.Route == nil {
		e.recordRefusal(p.observer.failures, reply, log.Bytes())
	}
	e.recordCORS(q, reply.fields)
	if e.Refusal != nil && e.Refusal.Reason == p.observer.failures.Lookup(answer.ErrNoRoute).Reason {
		e.Refusal.Near = p.snapshot.Load().routesForPath(q.Target)
	}
	return e, nil
}

// newOfflinePipeline is a pipeline that decides as a gateway does, with upstreams that are not open. It writes JSON lines
// to log.
func newOfflinePipeline(cfg Config, log io.Writer) (*pipeline, error) {
	deps := Deps{Log: slog.New(slog.NewJSONHandler(log, nil)), Access: accesslog.New(log, accesslog.JSON), Now: time.Now, Metrics: prometheus.NewRegistry(), Upstreams: offlineUpstreams(cfg.Upstreams)}
	deps.Pushes = cfg.pushes()
	return newPipeline(context.Background(), cfg, deps)
}

func offlineUpstreams(names []string) map[string]*upstream.Upstream {
	upstreams := make(map[string]*upstream.Upstream, len(names))
	for _, name := range names {
		upstreams[name] = nil
	}
	return upstreams
}

// routesForPath are the routes that match the path of a target for any method and host.
func (r *snapshot) routesForPath(target string) []RouteInfo {
	t, ok := route.ParseRequestTarget([]byte(target), nil)
	if !ok {
		return nil
	}
	var all []RouteInfo
	seen := map[*routeEntry]bool{}
	collect := func(m *route.Matcher[*routeEntry]) {
		for _, method := range forwardable() {
			if to, found := m.Find(method, t.Folded); found && !seen[to] && !to.disabled {
				seen[to] = true
				all = append(all, to.info(r))
			}
		}
	}
	for _, host := range r.routes.Names() {
		collect(r.routes.Of(host))
	}
	return all
}

// checkToken takes the place of the step that verifies tokens.
func (e *Explanation) checkToken(ex *Exchange) error {
	switch {
	case ex.route.disabled:
		return answer.ErrNoRoute
	case ex.route.precheck != nil: // for which the request would need a body
		return ex.next()
	}
	different, asked := e.findToken(ex), string(ex.target.Raw)
	takeCredential(ex)
	if ex.route.auth == AuthPrefetch {
		ex.target.Raw = credential.CutParameters(ex.target.Raw, prefetchCode, prefetchToken)
	}
	if string(ex.target.Raw) != asked && len(e.TokenIn) > 0 {
		e.Reasons = append(e.Reasons, "the query is without what is for the gateway alone")
	}
	fault := different
	if fault == nil && e.tokenFault != nil {
		fault = e.tokenFault(ex.route.issuer)
	}
	if fault != nil && ex.route.refusesToken(fault) {
		return fault
	}
	return ex.next()
}

// findToken records where the request has tokens, and returns an error if they are different ones.
func (e *Explanation) findToken(ex *Exchange) error {
	var found credential.Found
	eachCredential(ex, func(place credential.Place, text string) {
		found.Add(text)
		if token.HasCredentials(text) {
			e.TokenIn = append(e.TokenIn, strings.Clone(place.String()))
		}
	})
	if ex.route.auth == AuthPrefetch {
		for _, name := range []string{prefetchCode, prefetchToken} {
			credential.EachParameter(ex.target.Raw, name, func(place credential.Place, _ string) { e.TokenIn = append(e.TokenIn, strings.Clone(place.String())) })
		}
	}
	if ex.cookiesRefused {
		e.TokenIn = append(e.TokenIn, "no cookie: neither Origin nor Sec-Fetch-Site is of our own pages")
	}
	if found.Different {
		return fmt.Errorf("%w: the places have different tokens", token.ErrMalformed)
	}
	return nil
}

// refusesToken reports whether a route verifies the token and refuses one with that fault.
func (r *routeEntry) refusesToken(tokenFault error) bool {
	switch {
	case r.ours == endpointRefresh:
		return !errors.Is(tokenFault, token.ErrExpired)
	case r.auth == AuthRequired, r.auth == AuthOptional:
		return true
	}
	return false
}

// recordForward takes the place of the step that serves the request.
func (e *Explanation) recordForward(ex *Exchange) error {
	info := ex.route.info(ex.snapshot)
	e.Client, e.Route = formatClient(ex.client), &info
	if ex.route.endpoint != nil {
		return nil
	}
	req := &ex.outbound
	if err := buildRequest(ex, req); err != nil {
		return err
	}
	e.Target, e.Method = string(req.Target), ex.method
	e.diffHeaders(ex.request.Head, req)
	e.explainRemoved(ex)
	e.maskValues(ex.route.changes)
	switch {
	case ex.route.issuer != "":
		e.Identity = ex.snapshot.callerFields(ex.route.issuer)
	case ex.route.auth != AuthNone:
		e.Identity = ex.snapshot.identityFields()
	}
	return nil
}

// readQuestion notes that a request is one of `wxgate prove`, by whoever has server.admin_token.
func readQuestion(ex *Exchange) {
	if question := ex.header(proof.HeaderQuestion); question != "" {
		ex.proof, _ = proof.Answer(ex.snapshot.cfg.Server.AdminToken, string(ex.request.Method), string(ex.request.Target), question, ex.start)
	}
}

// explainInstead answers a question of `wxgate prove` with what the gateway would do with the request, and does not do it.
func explainInstead(ex *Exchange) error {
	if ex.proof == "" {
		return ex.next()
	}
	e := Explanation{Cloud: ex.cloud != nil}
	if err := e.recordForward(ex); err != nil {
		return err
	}
	e.maskSigned(ex.snapshot.cfg.Identity.Signed.Header)
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ex.response.Fields.Add("Content-Type", "application/json; charset=utf-8")
	ex.response.Fields.Add("Cache-Control", "no-store")
	ex.response.Fields.Add(proof.HeaderAnswer, ex.proof)
	ex.response.Body = append(ex.response.Body, body...)
	return nil
}

// maskSigned hides a signed identity, which services believe whoever sends it.
func (e *Explanation) maskSigned(name string) {
	for i, line := range e.Set {
		if set, _, _ := strings.Cut(line, ":"); name != "" && strings.EqualFold(set, name) {
			e.Set[i] = set + ": ***"
		}
	}
}

// diffHeaders sorts header lines into those that pass, are added and are removed. head is the head as it was received.
func (e *Explanation) diffHeaders(head []byte, out *message.Request) {
	var received, sent []string
	_, fields, _ := bytes.Cut(head, []byte("\r\n"))
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		if name, value, isField := bytes.Cut(line, []byte{':'}); isField {
			received = append(received, fmt.Sprintf("%s: %s", name, bytes.Trim(value, " \t")))
		}
	}
	sent = append(sent, "Host: "+string(out.Host))
	for name, value := range out.Fields.All() {
		sent = append(sent, fmt.Sprintf("%s: %s", name, value))
	}
	for _, line := range sent {
		switch {
		case slices.Contains(received, line):
			e.Sent = append(e.Sent, line)
		default:
			e.Set = append(e.Set, line)
		}
	}
	for _, line := range received {
		if !slices.Contains(sent, line) {
			e.Removed = append(e.Removed, line)
		}
	}
}

// explainRemoved says why the service does not get what it does not get of the client.
func (e *Explanation) explainRemoved(ex *Exchange) {
	for _, line := range e.Removed {
		name, _, _ := strings.Cut(line, ":")
		if why := name + " " + e.whyRemoved(ex, name); !slices.Contains(e.Reasons, why) {
			e.Reasons = append(e.Reasons, why)
		}
	}
}

// whyRemoved is why the service does not get a header line of the client as it is. It continues a sentence that begins with
// the name.
func (e *Explanation) whyRemoved(ex *Exchange, name string) string {
	reserved := ex.snapshot.reserved
	set := slices.ContainsFunc(e.Set, func(line string) bool { return strings.HasPrefix(strings.ToLower(line), strings.ToLower(name)+":") })
	switch class := reserved.classify([]byte(name)); {
	case class&header.ClassIdentity != 0 && reserved.allowable(name):
		return "looks like identity; identity.allow lets exact names pass"
	case class&header.ClassIngress != 0 && !ex.ingress:
		return "is for 微信网关 to say, and this peer is not in server.wechat_gateway"
	case class&header.ClassIdentity != 0:
		return "looks like identity, which only the gateway may set"
	case ex.route.changes.Hold([]byte(name)):
		return "is set or removed by the route"
	case class&(header.ClassToken|header.ClassAuthorization) != 0:
		return "is for the token, and identity.forward_authorization is false"
	case class&header.ClassSubprotocols != 0:
		return "offers the token, which is taken out"
	case class&header.ClassCookie != 0 && ex.cookiesRefused:
		return "has a token that does not count from another page, and is taken out"
	case class&header.ClassCookie != 0 && len(withheldCookies(ex)) > 0:
		return "has the token, which is taken out: identity.forward_authorization is false"
	case class&(header.ClassCookie|header.ClassVia|header.ClassMaxForwards) != 0:
		return "is written anew"
	case strings.EqualFold(name, "Content-Length"), strings.EqualFold(name, "Transfer-Encoding"):
		return "is written anew, for the connection to the service"
	case class&header.ClassHopByHop != 0 || ex.named.Contain([]byte(name)):
		return "is about the client's connection alone"
	case ex.trusted && set:
		return "is written anew, with what a proxy in server.trusted_proxies says"
	case class&header.ClassForwarding != 0 || set:
		return "is for the gateway and proxies in server.trusted_proxies to say"
	}
	return "could be taken for the gateway's own word"
}

// maskValues hides the values of headers.set: they may be secrets, and explanations get shared.
func (e *Explanation) maskValues(changes header.Changes) {
	for i, line := range e.Set {
		name, _, _ := strings.Cut(line, ": ")
		if changes.Sets(name) {
			e.Set[i] = name + ": ***"
		}
	}
}

// identityFields are the lines that a verified token adds.
func (r *snapshot) identityFields() []string {
	var lines []string
	for _, h := range r.identity {
		lines = append(lines, h.name+": "+cmp.Or(h.literal, "<"+string(h.field)+">"))
	}
	slices.Sort(lines)
	if name := r.cfg.Identity.Signed.Header; name != "" {
		lines = append(lines, name+": <signed identity>")
	}
	return lines
}

// callerFields are the lines that a verified token of an issuer adds.
func (r *snapshot) callerFields(name string) (lines []string) {
	for _, each := range r.cfg.Issuers {
		if each.Name == name {
			for header, claim := range each.Headers {
				lines = append(lines, header+": <"+claim+">")
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// recordRefusal takes the refusal from the head of the answer, and its status and detail from the log, whatever the answer
// looks like.
func (e *Explanation) recordRefusal(failures answer.Table, got reply, log []byte) {
	reason := got.fields.Get(answer.HeaderReason)
	e.Refusal = &Refusal{Status: got.status, Reason: reason, Message: failures.MessageOf(reason), Answer: string(got.body)}
	for line := range bytes.Lines(log) {
		var attrs struct {
			Status   int    `json:"status"`
			Detail   string `json:"detail"`
			Route    string `json:"route"`
			ClientIP string `json:"client_ip"`
		}
		if json.Unmarshal(line, &attrs) == nil {
			e.Refusal.Status, e.Refusal.Detail, e.Client = cmp.Or(attrs.Status, e.Refusal.Status), attrs.Detail, attrs.ClientIP
			if attrs.Route != unmatchedRoute {
				e.Refusal.Route = attrs.Route
			}
		}
	}
	if got.status != e.Refusal.Status {
		e.Refusal.Answer = fmt.Sprintf("%d %s", got.status, got.body)
	}
}

// recordCORS takes from the answer what it tells the page that asks.
func (e *Explanation) recordCORS(q Question, fields http.Header) {
	fromPage := slices.ContainsFunc(q.Headers, func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(name, "Origin")
	})
	if !fromPage {
		return
	}
	for name, values := range fields {
		if strings.HasPrefix(name, "Access-Control-") {
			e.CORS = append(e.CORS, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(e.CORS)
	switch {
	case len(e.CORS) > 0:
	case slices.Contains(fields.Values("Vary"), "Origin"):
		e.CORS = []string{"the page must not read the answer: its origin is not in cors.origins"}
	default:
		e.CORS = []string{"the service decides: no cors.origins apply"}
	}
}

// explainTimeout is longer than any answer takes that needs no network.
const explainTimeout = 10 * time.Second

// reply is an answer as its client reads it.
type reply struct {
	status int
	fields http.Header
	body   []byte
}

// roundTrip sends the request over an in-memory connection and returns the answer.
func roundTrip(s *server, cfg listen.Config, q Question) (got reply, err error) {
	client, end := net.Pipe()
	_ = client.SetDeadline(time.Now().Add(explainTimeout))
	conn := &memoryConn{end, net.TCPAddrFromAddrPort(netip.AddrPortFrom(q.Client, 0))}
	var serving sync.WaitGroup
	serving.Go(func() { listen.ServeConn(conn, cfg, s) })
	go func() { _ = q.writeRequest(client) }() // ends with the connection; a refused body is not read to its end
	read := bufio.NewReader(client)
	answer, err := http.ReadResponse(read, &http.Request{Method: q.Method})
	if err == nil && answer.StatusCode == http.StatusContinue {
		_ = answer.Body.Close()
		answer, err = http.ReadResponse(read, &http.Request{Method: q.Method})
	}
	if err == nil {
		defer answer.Body.Close()
		got.status, got.fields = answer.StatusCode, answer.Header
		got.body, err = io.ReadAll(answer.Body)
	}
	_ = client.Close()
	serving.Wait()
	return got, err
}

func (q Question) writeRequest(to io.Writer) error {
	lines := append([]string{q.Method + " " + q.Target + " HTTP/1.1", "Host: " + q.Host}, q.Headers...)
	if q.BodyLength > 0 {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", q.BodyLength))
	}
	if _, err := io.WriteString(to, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		return err
	}
	piece := make([]byte, 32<<10)
	for left := q.BodyLength; left > 0; left -= int64(len(piece)) {
		if _, err := to.Write(piece[:min(left, int64(len(piece)))]); err != nil {
			return err
		}
	}
	return nil
}

// memoryConn is an in-memory connection with a remote address.
type memoryConn struct {
	net.Conn
	remote net.Addr
}

// RemoteAddr returns the configured address.
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }
