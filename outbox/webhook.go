package outbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"wxgate/authn"
	"wxgate/message"
	"wxgate/storage"
)

// timeFormat is that of the API: ISO 8601 in UTC with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

// notice is what the service is told.
type notice struct {
	Type      storage.EventType `json:"type"`
	Timestamp string            `json:"timestamp"` // when it happened
	ID        int64             `json:"id"`
	From      int64             `json:"from,omitempty"` // of storage.EventMerged and EventUnlinked: the account, which is ID,
	Into      int64             `json:"into,omitempty"` // and the user whose it becomes, or no longer is
	*account
}

// account is the user as they are now; an erased one has none.
type account struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"`
	AppID     string `json:"appid"`
	Nickname  string `json:"nickname"`
	Avatar    string `json:"avatar"`
	Bio       string `json:"bio"`
	CreatedAt string `json:"created_at"`
}

func newNotice(event storage.Event, user storage.User) notice {
	n := notice{Type: event.Type, Timestamp: event.At.UTC().Format(timeFormat), ID: user.ID}
	if event.Into != 0 {
		n.From, n.Into = user.ID, event.Into
	}
	if event.Type != storage.EventErased {
		n.account = &account{
			user.OpenID, user.UnionID, user.AppID, user.Nickname, user.Avatar, user.Bio, user.CreatedAt.UTC().Format(timeFormat),
		}
	}
	return n
}

// sign returns the field webhook-signature (Standard Webhooks, "Signature scheme").
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// send delivers one event. Every error wraps authn.ErrUserService.
func (s *service) send(ctx context.Context, event storage.Event, user storage.User, now time.Time) error {
	body, err := json.Marshal(newNotice(event, user))
	if err != nil {
		return fmt.Errorf("%w: %w", authn.ErrUserService, err)
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req := message.Request{Method: http.MethodPost, Target: []byte(s.path), Content: body}
	req.Fields.Add("Content-Type", "application/json")
	req.Fields.Add("Webhook-Id", event.ID)
	req.Fields.Add("Webhook-Timestamp", timestamp)
	req.Fields.Add("Webhook-Signature", sign(s.key, event.ID, timestamp, body))
	var resp message.Response
	if _, err := s.upstream.Do(ctx, &req, &resp, uint64(user.ID)); err != nil {
		return fmt.Errorf("%w: asking upstreams.%s: %w", authn.ErrUserService, s.name, err)
	}
	defer resp.Reset() // the body says nothing
	if resp.Status < 200 || resp.Status > 299 {
		return &refusedError{s.name, s.path, resp.Status}
	}
	return nil
}

// refusedError is an answer other than 2xx.
type refusedError struct {
	service string // its name in upstreams
	path    string
	status  int
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%v: upstreams.%s answered POST %s with %d", authn.ErrUserService, e.service, e.path, e.status)
}

// Unwrap makes errors.Is find authn.ErrUserService.
func (e *refusedError) Unwrap() error { return authn.ErrUserService }

// isOfTheService reports whether every user would have been refused.
func (e *refusedError) isOfTheService() bool {
	return slices.Contains([]int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, e.status)
}
