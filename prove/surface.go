package prove

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"wxgate/input"
)

// ambiguousFraming sends requests in which two readers see different ones.
func (p *prober) ambiguousFraming(ctx context.Context) Finding {
	head := "POST /healthz HTTP/1.1\r\nHost: " + p.host("") + "\r\n"
	const hidden = "GET /healthz HTTP/1.1\r\nHost: hidden\r\n\r\n"
	requests := map[string]string{
		"a length and chunks":            head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":                    head + "Content-Length: 0\r\nContent-Length: 41\r\n\r\n" + hidden,
		"a length with a sign":           head + "Content-Length: +0\r\n\r\n" + hidden,
		"chunks that are not last":       head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
		"chunks spelled another way":     head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"a blank before the colon":       head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"a folded line":                  head + "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"bare line feeds":                strings.ReplaceAll(head, "\r\n", "\n") + "Content-Length: 0\n\n" + hidden,
		"a bare carriage return":         head + "X-A: b\rContent-Length: 41\r\n\r\n" + hidden,
		"two hosts":                      head + "Host: other\r\nContent-Length: 0\r\n\r\n" + hidden,
		"a chunk size that is too large": head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + hidden,
	}
	f := Finding{About: "framing", Verdict: Held, Sent: fmt.Sprintf("%d requests that hide another one", len(requests)), Got: "each is refused, and its connection ends"}
	for name, text := range requests {
		replies, ended, err := p.raw(ctx, text, "")
		switch {
		case err != nil:
			f.Verdict, f.Got = Look, err.Error()
		case len(replies) > 1, !ended, len(replies) == 1 && replies[0].status < 400:
			return Finding{
				About: "framing", Verdict: Failed, Sent: name + ": " + fmt.Sprintf("%.200q", text), Got: fmt.Sprintf("%v, the connection ends: %v", replies, ended),
				Advice: "what is in front of the gateway reads requests in another way than it: see docs/proxy.md",
			}
		}
	}
	return f
}

// oddMethods asks for a tunnel, and for what should be no method.
func (p *prober) oddMethods(ctx context.Context) Finding {
	f := Finding{About: "methods", Verdict: Held, Sent: "CONNECT, TRACE, TRACK, a method in another case", Got: "each is refused"}
	for _, line := range []string{"CONNECT 127.0.0.1:22", "TRACE /healthz", "TRACK /healthz", "get /healthz"} {
		replies, _, err := p.raw(ctx, line+" HTTP/1.1\r\nHost: "+p.host("")+"\r\nConnection: close\r\n\r\n", "")
		switch {
		case err != nil:
			f.Verdict, f.Got = Look, err.Error()
		case len(replies) > 0 && replies[0].status < 400:
			f.Verdict, f.Sent, f.Got, f.Advice = Failed, line, replies[0].String(), "something in front of the gateway answers it"
			return f
		}
	}
	return f
}

// forgedMessages are pushes and notifications that nobody has signed.
func (p *prober) forgedMessages(ctx context.Context) Finding {
	paths := map[string]string{}
	if len(p.Config.PushUpstreams) > 0 {
		for _, path := range p.Config.Endpoints.Push {
			paths[path+"?signature=0000000000000000000000000000000000000000&timestamp=1&nonce=1"] = ""
		}
	}
	for _, r := range p.Config.Routes {
		if r.WeChatPay.MchID != "" {
			paths[r.ExamplePath(restOfPath)] = r.Host
		}
	}
	if len(paths) == 0 {
		return Finding{}
	}
	f := Finding{About: "messages", Verdict: Held, Sent: fmt.Sprintf("a message that nobody has signed to %d paths", len(paths)), Got: "each is refused"}
	for path, host := range paths {
		text := "POST " + path + " HTTP/1.1\r\nHost: " + p.host(host) + "\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
		replies, _, err := p.raw(ctx, text, "")
		switch {
		case err != nil:
			f.Verdict, f.Got = Look, err.Error()
		case len(replies) > 0 && replies[0].status < 400:
			f.Verdict, f.Sent, f.Got, f.Advice = Failed, "POST "+path, replies[0].String(), "close the public access of WeChat Cloud Run: its messages carry no signature"
			return f
		}
	}
	return f
}

// adminPaths looks for the operator's API on the public listener.
func (p *prober) adminPaths(ctx context.Context) Finding {
	f := Finding{About: "admin paths", Verdict: Held, Sent: "GET /metrics, /api/users, /api/store/backup, /readyz", Got: "none is the operator's"}
	for _, path := range []string{"/metrics", "/api/users", "/api/store/backup", "/readyz"} {
		got, err := p.ask(ctx, "GET", path, "")
		switch {
		case err != nil:
			f.Verdict, f.Got = Look, err.Error()
		case got.explained == nil && got.status == http.StatusOK && (strings.Contains(got.body, "wxgate_") || strings.Contains(got.body, `"users"`)):
			f.Verdict, f.Sent, f.Got, f.Advice = Failed, "GET "+path, "the operator's answer", "something in front of the gateway leads to server.admin"
			return f
		}
	}
	return f
}

// adminListener looks for the admin listener at the public host.
func (p *prober) adminListener(ctx context.Context) Finding {
	_, port, err := net.SplitHostPort(p.Config.Server.Admin)
	if err != nil || port == "0" {
		return Finding{}
	}
	at := net.JoinHostPort(p.URL.Hostname(), port)
	f := Finding{About: "admin listener", Verdict: Held, Sent: "GET /metrics at " + at, Got: "no answer"}
	if p.Here {
		f.Verdict, f.Sent, f.Got, f.Advice = Look, "nothing", "this is the gateway's own machine", "run `wxgate prove` elsewhere"
		return f
	}
	if status, err := get(ctx, "http://"+at+"/metrics", ""); err == nil {
		f.Got = fmt.Sprint(status)
		if status == http.StatusOK {
			f.Verdict, f.Advice = Failed, "let server.admin listen on an address that only you can reach"
		}
	}
	return f
}

// servicesPastTheGateway looks for each service from here, and at the public host.
func (p *prober) servicesPastTheGateway(ctx context.Context) (findings []Finding) {
	for _, target := range p.Services {
		u, err := url.Parse(target)
		if err != nil || u.Host == "" {
			continue // a Unix socket is on its own machine
		}
		f := Finding{About: "service " + u.Host, Verdict: Held, Got: "no answer"}
		public := u.Scheme + "://" + net.JoinHostPort(p.URL.Hostname(), portOf(u))
		tries := []string{target, public}
		if input.IsLoopback(u.Hostname()) {
			tries = tries[1:]
		}
		if p.Here {
			tries = slices.DeleteFunc(tries, func(at string) bool { return at == public })
		}
		for _, at := range tries {
			if f.Sent != "" {
				f.Sent += "; "
			}
			f.Sent += "GET " + at + "/ with X-User-Id: 1"
			if p.isItself(at) {
				continue
			}
			if status, err := get(ctx, at+"/", p.marker); err == nil {
				f.Verdict, f.Got = Failed, fmt.Sprintf("%d past the gateway, at %s", status, at)
				f.Advice = "let a firewall, a private network or a Unix socket keep everybody but the gateway away: whoever reaches it is whom they say"
				if p.Here {
					f.Verdict = Look
					f.Advice = "this is the gateway's own machine, which reaches its services; run `wxgate prove` elsewhere"
				}
				if p.Config.Identity.Signed.Header != "" {
					f.Advice += "; or the service checks the signed identity: docs/signed-identity.md"
				}
				break
			}
		}
		if len(tries) == 0 {
			f.Verdict, f.Sent, f.Got, f.Advice = Look, "nothing", "this is the gateway's own machine", "run `wxgate prove` elsewhere"
		}
		findings = append(findings, f)
	}
	return findings
}

// isItself reports whether an address is that of the gateway.
func (p *prober) isItself(at string) bool {
	u, err := url.Parse(at)
	return err == nil && u.Hostname() == p.URL.Hostname() && portOf(u) == portOf(p.URL)
}

// get asks for a page, as a user who is forged unless marker is empty.
func get(ctx context.Context, at, marker string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return 0, err
	}
	if marker != "" {
		req.Header.Set("X-User-Id", "1")
		req.Header.Set("X-Prove-Control", marker)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return resp.StatusCode, nil
}
