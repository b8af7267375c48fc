package prove

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wxgate/gateway"
	"wxgate/gateway/answer"
	"wxgate/gateway/proof"
)

// reply is what came back.
type reply struct {
	status    int
	reason    string               // of a refusal by a gateway
	explained *gateway.Explanation // what the gateway would do; nil: it refuses, or is not ours
	body      string
}

func (r reply) String() string {
	switch {
	case r.explained != nil && r.explained.Route != nil:
		return fmt.Sprintf("it would pass, to %s (auth: %s)", r.explained.Route.Path, r.explained.Route.Auth)
	case r.reason != "":
		return fmt.Sprintf("%d %s", r.status, r.reason)
	case r.status == 0:
		return "the end of the connection"
	}
	return fmt.Sprint(r.status)
}

// dial connects as a client does.
func (p *prober) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	address := net.JoinHostPort(p.URL.Hostname(), portOf(p.URL))
	if p.URL.Scheme != "https" {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, RootCAs: p.Roots, ServerName: p.URL.Hostname()}}
	return d.DialContext(ctx, "tcp", address)
}

// portOf is the port of a URL, which need not name it.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// ask sends a request that the gateway explains.
func (p *prober) ask(ctx context.Context, method, target, host string, lines ...string) (reply, error) {
	text, want := p.question(method, target, host, append([]string{"Connection: close"}, lines...)...)
	replies, _, err := p.raw(ctx, text, want)
	if err != nil || len(replies) == 0 {
		return reply{}, err
	}
	return replies[0], nil
}

// raw sends bytes and reads answers until the connection ends or is silent; ended reports which. An explanation counts only with
// the proof.
func (p *prober) raw(ctx context.Context, text, proven string) (replies []reply, ended bool, err error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	_, _ = io.WriteString(conn, text) // a gateway that refuses the head need not read the rest
	method, _, _ := strings.Cut(text, " ")
	read := bufio.NewReader(conn)
	for len(replies) < 4 {
		resp, err := http.ReadResponse(read, &http.Request{Method: method})
		if err != nil {
			var timeout net.Error
			return replies, !errors.As(err, &timeout) || !timeout.Timeout(), nil
		}
		r := reply{status: resp.StatusCode, reason: resp.Header.Get(answer.HeaderReason)}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		_ = resp.Body.Close()
		r.body = string(body)
		if proven != "" && resp.Header.Get(proof.HeaderAnswer) == proven {
			r.explained = new(gateway.Explanation)
			if err := json.Unmarshal(body, r.explained); err != nil {
				return replies, false, fmt.Errorf("what it would do: %w", err)
			}
		}
		replies = append(replies, r)
		if resp.Close {
			return replies, true, nil
		}
		_ = conn.SetDeadline(time.Now().Add(time.Second)) // for another answer, which there should not be
	}
	return replies, false, nil
}

// refused reports whether a gateway has judged a request and refused it, and not only had no time for it.
func (r reply) refused() bool {
	return r.explained == nil && r.status >= 400 && r.status < 500 && r.status != http.StatusTooManyRequests && r.status != http.StatusRequestTimeout
}

// lines are those that a service would get.
func (r reply) lines() []string {
	if r.explained == nil {
		return nil
	}
	return append(append([]string{}, r.explained.Sent...), r.explained.Set...)
}
