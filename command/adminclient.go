package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"wxgate/config"
	"wxgate/gateway/admin"
	"wxgate/input"
	"wxgate/secret"
)

// adminClient calls the admin API of the running gateway.
type adminClient struct {
	address string      // host:port, or unix:/path
	socket  string      // the path of a Unix socket; empty: it is TCP
	tls     *tls.Config // nil: the listener is plain
	token   secret.Text
	stderr  io.Writer
	timeout time.Duration // for an answer, or for the start of a streamed one; 0: none
	waited  atomic.Bool   // the user was told once that a request waits
}

// newAdminClient finds the admin listener in gateway.yaml.
func newAdminClient(w *env) (*adminClient, error) {
	cfg, err := config.LoadServer(w.config, w.lookup)
	if err != nil {
		return nil, err
	}
	c := &adminClient{address: cfg.Admin, token: cfg.AdminToken, stderr: w.stderr, timeout: answerTimeout}
	path, is, err := input.Socket(cfg.Admin)
	switch {
	case err != nil:
		return nil, fmt.Errorf("server.admin: %q: %w", cfg.Admin, err)
	case is:
		c.socket = path
		return c, nil
	}
	c.address = dialable(cfg.Admin)
	if cfg.AdminTLS.Config().Enabled() {
		if c.tls, err = cfg.AdminTLS.ClientConfig(); err != nil {
			return nil, fmt.Errorf("server.admin_tls: %w", err)
		}
	}
	return c, nil
}

// url is that of a path of the admin API.
func (c *adminClient) url(path string) string {
	switch {
	case c.socket != "":
		return "http://localhost" + path
	case c.tls != nil:
		return "https://" + c.address + path
	}
	return "http://" + c.address + path
}

// dial connects to the admin listener.
func (c *adminClient) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.socket != "" {
		network, address = "unix", c.socket
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// client uses no HTTP proxy: the token is meant for this machine alone.
func (c *adminClient) client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: c.timeout, DialContext: c.dial, TLSClientConfig: c.tls},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

const (
	answerTimeout = 10 * time.Second // a healthy gateway answers in a fraction of this
	silenceTold   = 2 * time.Second  // without an answer, until the user is told what is being waited for
)

// ask sends a request with a JSON body, unless body is nil, and decodes the data of the answer into data.
func (c *adminClient) ask(ctx context.Context, method, path string, body, data any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("asking %s: %w", c.address, err)
		}
		sent = strings.NewReader(string(text))
	}
	answer, err := c.send(ctx, method, path, "application/json", sent)
	if err != nil {
		return err
	}
	defer answer.Close()
	return c.decode(answer, data)
}

// countUsers is how many users there are, for the share of what goes through all of them; 0: a gateway of another version does not say.
func (c *adminClient) countUsers(ctx context.Context) int64 {
	var count admin.UserCount
	if c.ask(ctx, http.MethodGet, "/api/users/count", nil, &count) != nil { // whatever is wrong, the request that matters meets it too
		return 0
	}
	return count.Users
}

// send returns the body of a 200 answer as a stream, which the caller closes.
func (c *adminClient) send(ctx context.Context, method, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url(path), body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.address, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token.Reveal() != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	told := time.AfterFunc(silenceTold, func() {
		if !c.waited.Swap(true) { // an import has many requests
			_, _ = fmt.Fprintf(c.stderr, "wxgate: %s has received the request and has not answered yet; waiting\n", c.address)
		}
	})
	resp, err := c.client().Do(req)
	told.Stop()
	if err != nil {
		return nil, c.unreachable(method, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refused(resp)
	}
	return resp.Body, nil
}

func (c *adminClient) unreachable(method string, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("asking %s: connection refused; is the gateway running?", c.address)
	case c.socket != "" && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("asking %s: there is no such socket; is the gateway running?", c.address)
	case c.socket != "" && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("asking %s: permission denied; ask as the user of the gateway, or as one of its group", c.address)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		advice := "the gateway is stopped or stuck, or server.admin is the address of another program; look at its log, and restart it if it stays silent"
		if method != http.MethodGet {
			advice += ". The change may have been made all the same: check before you repeat it"
		}
		return fmt.Errorf("asking %s: no answer within %v: %s", c.address, c.timeout, advice)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which is in the message already
	}
	return fmt.Errorf("asking %s: %w", c.address, err)
}

// refused makes the envelope of a refusal an error of one line.
func refused(resp *http.Response) error {
	var said struct{ Message, Reason, Detail string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&said); err != nil || said.Reason == "" {
		return fmt.Errorf("the answer is %s and does not come from wxgate", resp.Status)
	}
	return refusal{resp.StatusCode, said.Reason, cmp.Or(said.Detail, said.Message)}
}

// refusal is an answer of the running gateway that is none of success.
type refusal struct {
	status int
	reason string // of docs/api.md
	detail string
}

func (r refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.reason, r.detail) }

// decode decodes the data of an envelope.
func (c *adminClient) decode(answer io.Reader, data any) error {
	envelope := struct {
		Data any `json:"data"`
	}{data}
	if err := json.NewDecoder(answer).Decode(&envelope); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.address, err)
	}
	return nil
}
