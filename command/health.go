package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wxgate/config"
	"wxgate/gateway"
	"wxgate/gateway/limit"
)

type healthCommand struct {
	output

	Timeout time.Duration `default:"3s" help:"How long to wait for the answer."`
}

// health is what asking for it comes to.
type health struct {
	Healthy bool   `json:"healthy"`
	URL     string `json:"url"`
}

// Run asks the public listener of the running gateway for /healthz. An error means unhealthy.
func (h healthCommand) Run(ctx context.Context, w *env) error {
	server, err := config.LoadServer(w.config, w.lookup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	url := "http://" + dialable(server.Listen) + "/healthz"
	if server.TLS.Enabled() {
		url = "https" + strings.TrimPrefix(url, "http")
	}
	err = h.ask(ctx, server, url)
	if err == nil || h.JSON {
		err = errors.Join(err, h.print(w.stdout, health{err == nil, url}, func(t *table) { t.row("ok") }))
	}
	return err
}

func (healthCommand) ask(ctx context.Context, server gateway.ServerConfig, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true, DialContext: proxyDialer{server}.dial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is not for this address, and nothing secret is sent
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// proxyDialer connects to the public listener as a proxy in front of it would.
type proxyDialer struct{ server gateway.ServerConfig }

// dial sends a PROXY protocol header where one is expected; it says that the connection is the proxy's own.
func (d proxyDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || !d.server.ProxyProtocol || !d.trusts(conn.LocalAddr()) {
		return conn, err
	}
	if _, err := io.WriteString(conn, "PROXY UNKNOWN\r\n"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (d proxyDialer) trusts(from net.Addr) bool {
	address, err := netip.ParseAddrPort(from.String())
	return err == nil && slices.ContainsFunc(d.server.TrustedProxies, func(n limit.Network) bool { return n.Contains(address.Addr().Unmap()) })
}

// dialable returns an address at which a listener of this machine can be reached: for ":8080", that of loopback.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
