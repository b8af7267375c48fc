package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// The numbers of the page "getStableAccessToken".
const (
	tokenTTL      = 2 * time.Hour
	tokenOverlap  = 5 * time.Minute  // before its end a token is replaced, and until then both are good
	forceInterval = 30 * time.Second // a refresh forced sooner changes nothing
	forcesPerDay  = 20
	tokensPerMin  = 10_000
)

// tokens keeps every access_token ever given out.
type tokens struct {
	now func() time.Time
	ttl time.Duration

	mu       sync.Mutex
	current  string
	ends     map[string]time.Time // by token; the zero time is one that a forced refresh killed
	forced   time.Time
	forces   quota // by day, under the one name ""
	requests quota
}

func newTokens(now func() time.Time, ttl time.Duration) *tokens {
	day := func() time.Time { return time.Unix(now().Unix()/86400*60, 0) } // a day passes like a minute
	return &tokens{now: now, ttl: ttl, ends: map[string]time.Time{}, forces: quota{now: day, limit: forcesPerDay}, requests: quota{now: now, limit: tokensPerMin}}
}

// stable returns the current token and how long it lives, or the errcode.
func (t *tokens) stable(force bool) (token string, left time.Duration, errcode int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.requests.take("") {
		return "", 0, wechat.ErrCodeMinuteQuota
	}
	if force && t.current != "" && t.now().Sub(t.forced) >= forceInterval {
		if !t.forces.take("") {
			return "", 0, wechat.ErrCodeDailyQuota
		}
		t.ends[t.current], t.forced = time.Time{}, t.now()
	}
	if t.ends[t.current].Sub(t.now()) <= tokenOverlap {
		t.current = "sandbox_" + randomHex() + randomHex()
		t.ends[t.current] = t.now().Add(t.ttl)
	}
	return t.current, t.ends[t.current].Sub(t.now()), wechat.CodeOK
}

// fault returns the errcode of a call with token.
func (t *tokens) fault(token string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	end, ok := t.ends[token]
	switch {
	case token == "":
		return wechat.ErrCodeMissingToken
	case !ok || end.IsZero():
		return wechat.ErrCodeInvalidToken
	case !t.now().Before(end):
		return wechat.ErrCodeExpiredToken
	}
	return wechat.CodeOK
}

// stableToken is the page "getStableAccessToken".
func (a *api) stableToken(w http.ResponseWriter, r *http.Request) {
	var body struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
		Force     bool   `json:"force_refresh"`
	}
	if json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&body) != nil {
		writeError(w, wechat.ErrCodeMalformedBody, false)
		return
	}
	if errcode := a.credentialFault(body.GrantType, body.AppID, body.Secret); errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	token, left, errcode := a.backend().tokens.stable(body.Force)
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	write(w, map[string]any{"access_token": token, "expires_in": int(left / time.Second)})
}

func (a *api) credentialFault(grantType, appID, secret string) int {
	switch {
	case grantType != "client_credential":
		return wechat.ErrCodeInvalidGrantType
	case appID == "":
		return wechat.ErrCodeMissingAppID
	case secret == "":
		return wechat.ErrCodeMissingSecret
	case appID != a.cfg.AppID:
		return wechat.ErrCodeInvalidAppID
	case subtle.ConstantTimeCompare([]byte(secret), []byte(a.cfg.Secret.Reveal())) != 1:
		return wechat.ErrCodeInvalidSecret
	}
	return wechat.CodeOK
}

// withToken lets a call with a good access_token through.
func (a *api) withToken(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if errcode := a.backend().tokens.fault(r.URL.Query().Get("access_token")); errcode != wechat.CodeOK {
			writeError(w, errcode, false)
			return
		}
		next(w, r)
	}
}
