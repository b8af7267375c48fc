package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wxgate/authn/wechat"
)

const (
	// pushTimeout is how long WeChat waits for an answer (page "消息推送").
	pushTimeout = 5 * time.Second
	// maxEcho bounds what is read of an answer, in bytes. A right one has 26.
	maxEcho = 4 << 10
)

// pushFinding tries the address of message push over the domain, as mp.weixin.qq.com does when one saves it there, and with a
// signature that does not fit.
func (d domain) pushFinding(ctx context.Context, app wechat.Config, paths []string) Finding {
	f := Finding{About: "push " + app.AppID}
	if len(paths) == 0 {
		f.Err, f.Advice = errors.New("endpoints.push is off, so WeChat's messages are refused"), "give it a path, or remove push"
		return f
	}
	path := strings.Fields(paths[0])[len(strings.Fields(paths[0]))-1]
	push, err := wechat.NewPush(app.AppID, app.Push.Token, app.Push.AESKey)
	if err != nil {
		f.Err, f.Advice = err, "fix wechat.push"
		return f
	}
	if f.Advice, f.Err = d.tryPush(ctx, push, path); f.Err != nil {
		return f
	}
	f.Advice = fmt.Sprintf("https://%s%s answers as WeChat wants, and refuses a wrong signature", d, path)
	if d.port != "" && d.port != "443" {
		f.Advice += "; WeChat itself pushes to port 443 only"
	}
	if push.Sealed() {
		f.Advice += "; choose 安全模式 (JSON or XML) there: whatever is plain is refused"
	} else {
		f.Advice += "; choose 明文模式 (JSON or XML) there, or better give aes_key and choose 安全模式: in plain mode nobody signs what a message says"
	}
	return f
}

// tryPush asks an address to echo twice: it must, when the signature fits, and must not, when it does not.
func (d domain) tryPush(ctx context.Context, push *wechat.Push, path string) (advice string, err error) {
	query, echo := push.Query(time.Now()), rand.Text()
	query.Set("echostr", echo)
	status, answer, err := d.get(ctx, path, query)
	switch {
	case err != nil:
		return "see the line on TLS of " + d.String(), fmt.Errorf("asking %s: %w", path, err)
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return "let the domain lead to this gateway without a redirect", fmt.Errorf("%s is redirected (%d), and WeChat does not follow", path, status)
	case status == http.StatusNotFound:
		return "let the domain lead to this gateway, with the same wechat.push", fmt.Errorf("there is no %s at the domain (404)", path)
	case status == http.StatusOK && answer != echo:
		return "something else answers there: let the domain lead to this gateway", errors.New("the answer is 200 but not what was to be echoed")
	case status != http.StatusOK:
		return "give the gateway there the same Token, and let clocks agree and proxies pass the query on", fmt.Errorf("a right signature is refused (%d)", status)
	}
	query, echo = push.Query(time.Now()), rand.Text()
	query.Set("echostr", echo)
	query.Set("signature", strings.Repeat("0", len(query.Get("signature"))))
	switch _, answer, err = d.get(ctx, path, query); {
	case err != nil:
		return "try again", fmt.Errorf("asking %s a second time: %w", path, err)
	case strings.Contains(answer, echo):
		return "let the domain lead to this gateway", errors.New("a wrong signature is echoed too: what answers there takes messages from anybody")
	}
	return "", nil
}

// get sends a GET as WeChat does. No error quotes the query.
func (d domain) get(ctx context.Context, path string, query url.Values) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	address := url.URL{Scheme: "https", Host: d.String(), Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return 0, "", errors.New("the domain makes no URL")
	}
	transport := &http.Transport{DialContext: d.dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots}, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEcho))
	return resp.StatusCode, string(body), err
}
