package sandbox

import (
	"net/http"
	"sync"

	"wxgate/authn/wechat"
)

// keyring holds the one session_key that is good for each person: that of the last login.
type keyring struct {
	appID string

	mu      sync.Mutex
	keys    map[string]string // by person
	persons map[string]string // by openid
}

// renew makes a new session_key, and the old one dies.
func (k *keyring) renew(person string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := newSessionKey()
	k.keys[person], k.persons[openID(k.appID, person)] = key, person
	return key
}

// of returns the key of person, or "" before the first login.
func (k *keyring) of(person string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[person]
}

// signer returns the person whose openid and session_key signed a query, or the errcode.
func (k *keyring) signer(openid, signature, method string) (person string, errcode int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	person, ok := k.persons[openid]
	switch {
	case !ok:
		return "", wechat.ErrCodeInvalidOpenID
	case method != "hmac_sha256" || !wechat.ValidHMACSignature("", k.keys[person], signature):
		return "", wechat.ErrCodeInvalidSignature
	}
	return person, wechat.CodeOK
}

// signer reads the query of the two pages below.
func (a *api) signer(r *http.Request) (person string, errcode int) {
	query := r.URL.Query()
	return a.backend().keys.signer(query.Get("openid"), query.Get("signature"), query.Get("sig_method"))
}

// checkSession is the page "checkSessionKey".
func (a *api) checkSession(w http.ResponseWriter, r *http.Request) {
	if _, errcode := a.signer(r); errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	writeOK(w, nil)
}

// resetSessionKey is the page "ResetUserSessionKey".
func (a *api) resetSessionKey(w http.ResponseWriter, r *http.Request) {
	person, errcode := a.signer(r)
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	writeOK(w, map[string]any{
		"openid": openID(a.cfg.AppID, person), "session_key": a.backend().keys.renew(person),
	})
}
