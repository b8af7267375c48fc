package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// domain is where clients reach the gateway.
type domain struct {
	scheme string // as it was written; "": https
	name   string
	port   string // as it was written; "": 443
	path   string // what followed it, which has no business there

	roots *x509.CertPool // what its chain must end in; nil: those of this machine
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
}

// parseDomain reads a domain as the console of the mini-program has it, with https:// in front, or without.
func parseDomain(text string) domain {
	d := domain{dial: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	if scheme, rest, found := strings.Cut(text, "://"); found {
		d.scheme, text = strings.ToLower(scheme), rest
	}
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		text, d.path = text[:i], strings.TrimRight(text[i:], "/")
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), ""
	}
	d.name, d.port = strings.ToLower(host), port
	return d
}

func (d domain) String() string {
	if d.port == "" {
		return d.name
	}
	return net.JoinHostPort(d.name, d.port)
}

func (d domain) address() string {
	if d.port == "" {
		return net.JoinHostPort(d.name, "443")
	}
	return net.JoinHostPort(d.name, d.port)
}

// rulesFinding holds the domain against what WeChat lets a mini-program call (page framework/ability/network).
func (d domain) rulesFinding() Finding {
	f := Finding{About: "domain " + d.String()}
	_, notAddress := netip.ParseAddr(d.name)
	switch {
	case d.scheme != "" && d.scheme != "https" && d.scheme != "wss":
		f.Err, f.Advice = errors.New("mini-programs call https:// and wss:// only"), "serve TLS: see docs/tls.md"
	case notAddress == nil:
		f.Err, f.Advice = errors.New("mini-programs call no IP addresses"), "let a record of the DNS of a domain of yours lead there, and give that"
	case strings.HasSuffix(d.name, ".localhost") || !strings.Contains(d.name, "."):
		f.Err, f.Advice = errors.New("only a phone in your developer tools calls it"), "give a domain that is known in the world"
	case strings.Contains(d.name, "*"):
		f.Err, f.Advice = errors.New("the list of domains knows no wildcards, and a domain does not stand for those below it"), "enter each one"
	case d.name == "api.weixin.qq.com":
		f.Err, f.Advice = errors.New("WeChat refuses its own API as a domain: secrets and session_keys belong to a server"), "give the domain of this gateway"
	case d.path != "":
		f.Err, f.Advice = errors.New("the list of domains takes no paths"), "enter https://"+d.String()
	case d.port == "443":
		f.Err, f.Advice = errors.New("with a port on the list, URLs without it fail, and without one those with :443"), "enter https://"+d.name+", and call it without a port"
	default:
		f.Advice = fmt.Sprintf("may be called once https://%s is on the list (开发管理 → 开发设置 → 服务器域名), for WebSockets wss://%s too; WeChat wants an ICP filing (备案) for it",
			d, d)
	}
	if f.Err == nil && d.port != "" {
		f.Advice += "; with a port on the list, URLs without it or with another one fail"
	}
	return f
}
