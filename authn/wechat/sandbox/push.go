package sandbox

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// pushTimeout is how long WeChat waits for the answer to a push (page "消息推送").
const pushTimeout = 5 * time.Second

// SendPush sends message, a JSON object or an <xml> element, to address as WeChat would, sealed when there is a
// Config.PushAESKey, and returns the status and the body of the answer. WeChat wants 200 and success, or a reply.
func (s *Sandbox) SendPush(ctx context.Context, address string, message []byte) (status int, answer string, err error) {
	if s.push == nil {
		return 0, "", errors.New("sandbox: there is no Config.PushToken")
	}
	query, body, err := s.push.Request(message, s.backend.Load().clock.now())
	if err != nil {
		return 0, "", fmt.Errorf("sandbox: the message is neither a JSON object nor an <xml> element: %w", err)
	}
	return deliver(ctx, http.MethodPost, address, query, string(body))
}

// inBackground runs push until it returns; Close ends its context and waits for it.
func (s *Sandbox) inBackground(push func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return
	}
	s.notices.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			select {
			case <-s.closed:
				cancel()
			case <-ctx.Done():
			}
		}()
		push(ctx)
	})
}

// VerifyPush tries address as mp.weixin.qq.com does when one saves it there.
func (s *Sandbox) VerifyPush(ctx context.Context, address string) error {
	if s.push == nil {
		return errors.New("sandbox: there is no Config.PushToken")
	}
	query, echo := s.push.Query(s.backend.Load().clock.now()), randomHex()
	query.Set("echostr", echo)
	status, answer, err := deliver(ctx, http.MethodGet, address, query, "")
	if err == nil && (status != http.StatusOK || subtle.ConstantTimeCompare([]byte(answer), []byte(echo)) != 1) {
		err = fmt.Errorf("sandbox: Token校验失败: the answer is status %d and not the echostr", status)
	}
	return err
}

// deliver sends one request and follows no redirect.
func deliver(ctx context.Context, method, address string, query url.Values, body string) (int, string, error) {
	target, err := url.Parse(address)
	if err != nil {
		return 0, "", fmt.Errorf("sandbox: %w", err)
	}
	target.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("sandbox: %w", err)
	}
	request.Header.Set("Content-Type", "text/xml") // whatever the format, as WeChat does
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return 0, "", fmt.Errorf("sandbox: pushing to %s: %w", target.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxRequest))
	return response.StatusCode, string(answer), err
}
