package sandbox

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// keyring holds the one session_key that is good for each person: that of the last login.
type keyring struct {
	appID string
	now   func() time.Time

	mu      sync.Mutex
	keys    map[string]string    // by person
	old     map[string][]string  // by person: keys that later logins replaced
	persons map[string]string    // by openid
	logins  map[string]time.Time // by openid: the last
}

// maxOldKeys bounds the keys of a person that are remembered as replaced.
const maxOldKeys = 16

// renew makes a new session_key, and the old one dies.
func (k *keyring) renew(person string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := newSessionKey()
	if replaced := k.keys[person]; replaced != "" {
		k.old[person] = append(k.old[person], replaced)
		k.old[person] = k.old[person][max(0, len(k.old[person])-maxOldKeys):]
	}
	openid := openID(k.appID, person)
	k.keys[person], k.persons[openid], k.logins[openid] = key, person, k.now()
	return key
}

// of returns the key of person, or "" before the first login.
func (k *keyring) of(person string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[person]
}

// fits is how a signature of a body by a session_key fits a person.
type fits int

const (
	fitsNot     fits = iota // or the person is not known
	fitsExpired             // it is by a key that a later login replaced, or there is no key
	fitsNow
)

// check compares a signature with that of the person's key, and of the replaced ones.
func (k *keyring) check(person, body, signature string) fits {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.keys[person] == "":
		return fitsExpired
	case wechat.ValidHMACSignature(body, k.keys[person], signature):
		return fitsNow
	case slices.ContainsFunc(k.old[person], func(key string) bool { return wechat.ValidHMACSignature(body, key, signature) }):
		return fitsExpired
	}
	return fitsNot
}

// owner returns the person of an openid, "" before the first login.
func (k *keyring) owner(openid string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.persons[openid]
}

// lastLogin returns when an openid got its last session_key.
func (k *keyring) lastLogin(openid string) (at time.Time, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, known = k.logins[openid]
	return at, known
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
