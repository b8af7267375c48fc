package contestants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wxgate/bench/tokens"
)

// Check asks a contestant for everything that is measured, and returns an error for each thing it does not do.
func Check(ctx context.Context, address netip.AddrPort, folder string, open bool) error {
	c, err := newChecker(ctx, address, folder)
	if err != nil {
		return err
	}
	defer c.client.CloseIdleConnections()
	c.identity(open)
	if !open {
		c.refusals()
	}
	c.bodies()
	return errors.Join(c.faults...)
}

// Accepts asks a contestant with one token, and returns an error unless it is accepted.
func Accepts(ctx context.Context, address netip.AddrPort, token string) error {
	c := &checker{ctx: ctx, url: "http://" + address.String(), client: &http.Client{Timeout: 10 * time.Second}}
	defer c.client.CloseIdleConnections()
	if got := c.send(http.MethodGet, "/api/v1/recipes", "Bearer "+token, nil); got.status != http.StatusOK {
		return fmt.Errorf("a token of the measurement: got %d %.200s, want 200", got.status, got.content)
	}
	return nil
}

// checker sends requests and collects what was wrong with the answers.
type checker struct {
	ctx     context.Context // of one Check
	client  *http.Client
	url     string
	subject string
	tokens  map[tokens.Kind]string
	faults  []error
}

func newChecker(ctx context.Context, address netip.AddrPort, folder string) (*checker, error) {
	c := &checker{
		ctx: ctx, url: "http://" + address.String(), tokens: map[tokens.Kind]string{},
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DisableCompression: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
		}},
	}
	for _, kind := range []tokens.Kind{tokens.Good, tokens.BadSignature, tokens.Expired, tokens.None} {
		token, err := tokens.First(folder, kind)
		if err != nil {
			return nil, err
		}
		c.tokens[kind] = token
	}
	var err error
	c.subject, err = tokens.Subject(c.tokens[tokens.Good])
	return c, err
}

// answer is what came back.
type answer struct {
	status  int
	content []byte
	length  string // Content-Length
}

func (c *checker) fault(format string, values ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, values...))
}

// send sends a request that claims to be somebody else, in three spellings.
func (c *checker) send(method, target, authorization string, content []byte) answer {
	req, err := http.NewRequestWithContext(c.ctx, method, c.url+target, bytes.NewReader(content))
	if err != nil {
		return answer{content: []byte(err.Error())}
	}
	req.Header["X-User-Id"] = []string{"attacker", "attacker2"}
	req.Header["x-user-id"] = []string{"attacker3"}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{content: []byte(err.Error())}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{content: []byte(err.Error())}
	}
	return answer{resp.StatusCode, text, resp.Header.Get("Content-Length")}
}

func (c *checker) good() string { return "Bearer " + c.tokens[tokens.Good] }

// identity checks that the service sees who is calling, and the request as it was sent.
func (c *checker) identity(open bool) {
	got := c.send(http.MethodGet, "/api/v1/echo?a=1&b=%20x", c.good(), nil)
	var seen struct {
		Line    string
		Headers map[string][]string
	}
	if err := json.Unmarshal(got.content, &seen); got.status != http.StatusOK || err != nil {
		c.fault("a good token: got %d %.80s, want 200", got.status, got.content)
		return
	}
	if want := "GET /api/v1/echo?a=1&b=%20x HTTP/1.1"; seen.Line != want {
		c.fault("the request line: got %q, want %q", seen.Line, want)
	}
	if hosts := seen.Headers["host"]; len(hosts) != 1 {
		c.fault("Host: got %q, want one", hosts)
	}
	if ids := seen.Headers["x-user-id"]; !open && !slices.Equal(ids, []string{c.subject}) {
		c.fault("X-User-Id: got %q, want %q alone", ids, c.subject)
	}
}

// refusals checks that nothing but a good token is accepted.
func (c *checker) refusals() {
	good := c.good()
	for name, authorization := range map[string]string{
		"no token": "", "an empty token": "Bearer ", "garbage": "Bearer x.y.z", "Basic": "Basic dXNlcjpwYXNz",
		"a bad signature": "Bearer " + c.tokens[tokens.BadSignature], "an expired token": "Bearer " + c.tokens[tokens.Expired],
		"alg none": "Bearer " + c.tokens[tokens.None], "half a signature": good[:len(good)-20],
		"a changed claim": strings.Replace(good, ".", ".e", 1),
	} {
		if got := c.send(http.MethodGet, "/api/v1/echo", authorization, nil); got.status != http.StatusUnauthorized {
			c.fault("%s: got %d %.60s, want 401", name, got.status, got.content)
		}
	}
}

// bodies checks that large and small bodies arrive whole.
func (c *checker) bodies() {
	if got := c.send(http.MethodPost, "/api/v1/upload", c.good(), make([]byte, 1<<20)); string(got.content) != `{"n":1048576}` {
		c.fault("1 MiB up: got %d %.80s", got.status, got.content)
	}
	for target, size := range map[string]int{"/api/v1/size/102400": 102400, "/api/v1/recipes?page=1&size=10": 1024} {
		if got := c.send(http.MethodGet, target, c.good(), nil); got.status != http.StatusOK || len(got.content) != size || got.length != fmt.Sprint(size) {
			c.fault("%s: got %d, %d bytes, Content-Length %s, want 200 and %d", target, got.status, len(got.content), got.length, size)
		}
	}
}
