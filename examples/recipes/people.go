package recipes

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	mostNotices    = 100             // that are remembered, the newest
	freshSignature = 5 * time.Minute // how far the clocks of gateway and service may differ
)

// notice is what the gateway tells of a user (authn.on_user).
type notice struct {
	Type      string `json:"type"` // user.created, user.updated, user.erased
	Timestamp string `json:"timestamp"`
	ID        int64  `json:"id"`
	Nickname  string `json:"nickname,omitempty"`
}

// people is what the service was told of users.
type people struct {
	key   []byte // of the signatures; empty: nobody is told about
	shelf *shelf
	now   func() time.Time

	mu   sync.Mutex
	told []notice
}

// newPeople returns people whose notices are signed with a secret of Standard Webhooks, whsec_…
func newPeople(secret string, shelf *shelf, now func() time.Time) *people {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")) // the gateway has checked it
	return &people{key: key, shelf: shelf, now: now}
}

// learn takes what the gateway tells of a user. What comes twice changes nothing more.
func (p *people) learn(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
	if err != nil || !p.signed(r.Header, body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var n notice
	if err := json.Unmarshal(body, &n); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if n.Type == "user.erased" {
		p.shelf.forget(strconv.FormatInt(n.ID, 10)) // orders stay: the law has them kept for three years
	}
	p.note(n)
	w.WriteHeader(http.StatusNoContent)
}

// signed checks a signature of Standard Webhooks over the very bytes of a body.
func (p *people) signed(h http.Header, body []byte) bool {
	id, timestamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || p.now().Sub(time.Unix(seconds, 0)).Abs() > freshSignature {
		return false
	}
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(h.Get("Webhook-Signature")), []byte(want))
}

func (p *people) note(n notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, n)
	p.told = p.told[max(0, len(p.told)-mostNotices):]
}

// all shows what the service was told, to whoever can reach it without the gateway.
func (p *people) all(http.ResponseWriter, *http.Request) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]notice{}, p.told...), nil
}
