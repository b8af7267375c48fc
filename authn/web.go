package authn

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/storage"
)

// How long the steps of a login on a web page may take.
const (
	WebStateLife = 10 * time.Minute // from its begin to the return from WeChat: as long as the code of a QR code
	webCodeLife  = time.Minute      // from there to the exchange of the one-time code
)

// ErrWebLogin is a login on a web page that another browser began, or that began too long ago, or that is over.
var ErrWebLogin = errors.New("not a login on a web page that this browser has begun, or one that is over")

// ErrSnapshotUser refuses the virtual account of a snapshot page (快照页). Nothing is kept of it.
var ErrSnapshotUser = errors.New("a snapshot page has no user")

// WebClient is what authn needs of the client of an account of web pages.
type WebClient interface {
	// WebSession exchanges the code of a web page, which is sent once, and asks for the profile if it is wanted.
	WebSession(ctx context.Context, code string, profile bool) (wechat.WebSession, error)
}

// WebApp is an account whose web pages log people in.
type WebApp struct {
	AppID  string
	Client WebClient
}

// Web logs people in on web pages, in three steps of one browser: it begins, comes back from WeChat with a code, and exchanges
// a one-time code of ours for a token. What the browser carries from one to the next is bound to a secret of its own, and
// nothing is kept of people whom WeChat has not named.
type Web struct {
	auth     *Authn
	accounts map[wechat.WebKind]*webAccount
	returns  *codes[string]
}

// webAccount is an account with the bounds that mini-programs have.
type webAccount struct {
	*app
	client WebClient
}

func newWeb(a *Authn, deps Deps) *Web {
	w := &Web{auth: a, accounts: map[wechat.WebKind]*webAccount{}, returns: newCodes[string](deps.Now)}
	for kind, web := range deps.Webs {
		w.accounts[kind] = &webAccount{newApp(web.AppID, deps, a.metrics), web.Client}
	}
	return w
}

// exchange is app.exchange with the code of a web page.
func (w *webAccount) exchange(ctx context.Context, code string, profile bool) (wechat.WebSession, error) {
	return exchangeWith(ctx, w.app, func(ctx context.Context) (wechat.WebSession, error) { return w.client.WebSession(ctx, code, profile) })
}

// has reports whether an appid is that of one of the accounts.
func (w *Web) has(appID string) bool {
	for _, account := range w.accounts {
		if account.id == appID {
			return true
		}
	}
	return false
}

// The purposes of tickets.
const (
	purposeState = "web state"
	purposeCode  = "web code"
)

// webState is what the state of a login carries: by which account it is, the page that it leads back to, when it ends, and an id.
type webState struct {
	kind byte
	page [8]byte // the beginning of a hash
	ends time.Time
	id   [16]byte
}

// webStateBytes and webCodeBytes are the lengths of the payloads.
const (
	webStateBytes = 1 + 8 + 8 + 16
	webCodeBytes  = 8 + 16
)

// kindByte stands for a kind.
func kindByte(kind wechat.WebKind) byte { return kind[0] }

// pageHash stands for a page; the pages of a configuration are few.
func pageHash(page string) [8]byte {
	sum := sha256.Sum256([]byte(page))
	return [8]byte(sum[:8])
}

func (s webState) payload() []byte {
	text := append([]byte{s.kind}, s.page[:]...)
	return append(binary.BigEndian.AppendUint64(text, uint64(s.ends.Unix())), s.id[:]...)
}

func readWebState(payload []byte) (s webState, ok bool) {
	if len(payload) != webStateBytes {
		return s, false
	}
	ends := int64(binary.BigEndian.Uint64(payload[9:])) // a forged one ends whenever it likes
	return webState{payload[0], [8]byte(payload[1:9]), time.Unix(ends, 0), [16]byte(payload[17:])}, true
}

// name is under which the outcome of the login is found.
func (s webState) name() string { return webName(s.id) }

func webName(id [16]byte) string { return "web " + hex.EncodeToString(id[:]) }

// Begin returns the state of a new login (82 to 128 of the characters 0-9 and a-f) by a kind of account, of the browser that has
// this secret, which shall lead back to page. Nothing is kept.
func (w *Web) Begin(browser string, kind wechat.WebKind, page string) (state string) {
	s := webState{kind: kindByte(kind), page: pageHash(page), ends: w.auth.now().Add(WebStateLife)}
	_, _ = rand.Read(s.id[:]) // never fails
	return w.auth.Tokens.Keys().Ticket(purposeState, browser, s.payload())
}

// PageOf returns by which account and to which of its pages a state leads back, whoever wrote it. ok reports whether there is
// such a page.
func PageOf(state string, login wechat.WebLogin) (page string, ok bool) {
	s, ok := readWebState(token.TicketPayload(state))
	if !ok {
		return "", false
	}
	for kind, account := range login.Accounts {
		i := slices.IndexFunc(account.ReturnTo, func(page string) bool { return pageHash(page) == s.page })
		if kindByte(kind) == s.kind && i >= 0 {
			return account.ReturnTo[i], true
		}
	}
	return "", false
}

// Check returns ErrWebLogin unless a state is of a login that this browser began and that has not ended.
func (w *Web) Check(browser, state string) error {
	_, err := w.open(browser, state)
	return err
}

func (w *Web) open(browser, state string) (s webState, err error) {
	payload, ok := w.auth.Tokens.Keys().OpenTicket(purposeState, browser, state)
	if ok {
		s, ok = readWebState(payload)
	}
	if !ok || !w.auth.now().Before(s.ends) {
		return s, ErrWebLogin
	}
	return s, nil
}

// webPerson is what is kept of a person whom WeChat has named, until the page exchanges the one-time code, and then that it did.
type webPerson struct {
	Code     string    `json:"code,omitempty"` // a hash of WeChat's, by which a browser that comes back twice is known
	Until    time.Time `json:"until,omitzero"` // of the one-time code
	Ends     time.Time `json:"ends"`           // of the state
	AppID    string    `json:"appid,omitempty"`
	OpenID   string    `json:"openid,omitempty"`
	UnionID  string    `json:"unionid,omitempty"`
	Nickname *string   `json:"nickname,omitempty"`
	Avatar   *string   `json:"avatar,omitempty"`
}

// spent is what is left of a person whose one-time code was exchanged.
func (p webPerson) spent() webPerson { return webPerson{Ends: p.Ends} }

// Return takes the code with which WeChat sends a browser back, and returns a one-time code of ours for its page (80 of the
// characters 0-9 and a-f), good for a minute, once, and in this browser. Browsers that come back twice get the same one. The errors
// are ErrWebLogin, ErrSnapshotUser, ErrInvalidRequest, a *WeChatError or one of the store.
func (w *Web) Return(ctx context.Context, browser, state, code string, profile bool) (oneTime string, err error) {
	oneTime, err = w.back(ctx, browser, state, code, profile)
	if err != nil {
		w.auth.metrics.logins.WithLabelValues(resultOf(err, ofLogins())).Inc()
	}
	return oneTime, err
}

func (w *Web) back(ctx context.Context, browser, state, code string, profile bool) (string, error) {
	s, err := w.open(browser, state)
	if err != nil {
		return "", err
	}
	if !wechat.ValidCode(code) {
		return "", &FieldError{"code", "不是微信网页授权返回的 code"}
	}
	for kind, account := range w.accounts {
		if kindByte(kind) != s.kind {
			continue
		}
		key := newCodeKey("web "+account.id+" "+state, code) // never the outcome of another login
		return w.returns.once(ctx, key, func() (string, error) {
			p, err := w.person(ctx, s, account, code, key, profile)
			if err != nil {
				return "", err
			}
			payload := append(binary.BigEndian.AppendUint64(nil, uint64(p.Until.Unix())), s.id[:]...)
			return w.auth.Tokens.Keys().Ticket(purposeCode, browser, payload), nil
		})
	}
	return "", ErrWebLogin
}

// person asks WeChat who has come back, and keeps the answer. Another gateway may have done that for the same browser.
func (w *Web) person(ctx context.Context, s webState, account *webAccount, code string, key codeKey, profile bool) (webPerson, error) {
	sum := hex.EncodeToString(key[:])
	if p, err := w.known(ctx, s, sum); !errors.Is(err, storage.ErrNotFound) {
		return p, err
	}
	session, err := account.exchange(ctx, code, profile)
	if errors.Is(err, ErrCodeUsed) {
		if p, err := w.known(ctx, s, sum); err == nil {
			return p, nil
		}
	}
	if err != nil {
		return webPerson{}, err
	}
	looks := Profile{Nickname: &session.Nickname, Avatar: &session.Avatar}.usable()
	p := webPerson{
		Code: sum, Until: w.auth.now().Add(webCodeLife).Truncate(time.Second), Ends: s.ends, AppID: account.id, OpenID: session.OpenID, UnionID: session.UnionID,
		Nickname: looks.Nickname, Avatar: looks.Avatar,
	}
	err = w.auth.store.ChangeTemporary(ctx, s.name(), func(old []byte) ([]byte, time.Duration, error) {
		if old != nil {
			return nil, 0, ErrWebLogin // another code has come back with this state
		}
		return w.encode(p)
	})
	if err != nil {
		return webPerson{}, fmt.Errorf("keeping who came back from WeChat: %w", err)
	}
	return p, nil
}

// known returns what is kept of a login that came back with the same code, storage.ErrNotFound if nothing is.
func (w *Web) known(ctx context.Context, s webState, sum string) (p webPerson, err error) {
	text, err := w.auth.store.Temporary(ctx, s.name())
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil || p.Code != sum {
		return p, ErrWebLogin
	}
	return p, nil
}

// encode is a value of the store that is kept for as long as the state could come back: each is good once.
func (w *Web) encode(p webPerson) ([]byte, time.Duration, error) {
	text, err := json.Marshal(p)
	return text, max(p.Ends.Sub(w.auth.now()), 0) + webCodeLife, err
}

// Exchange logs in whoever a one-time code is of, in the browser that it was made for. Of l it takes Device, Content and Admit. The errors are
// ErrWebLogin and those of Login.
func (w *Web) Exchange(ctx context.Context, browser, oneTime string, l Login) (Grant, error) {
	grant, err := w.exchange(ctx, browser, oneTime, l)
	w.auth.metrics.logins.WithLabelValues(resultOf(err, ofLogins())).Inc()
	return grant, err
}

func (w *Web) exchange(ctx context.Context, browser, oneTime string, l Login) (Grant, error) {
	payload, ok := w.auth.Tokens.Keys().OpenTicket(purposeCode, browser, oneTime)
	if !ok || len(payload) != webCodeBytes {
		return Grant{}, ErrWebLogin
	}
	until := time.Unix(int64(binary.BigEndian.Uint64(payload)), 0)
	if !w.auth.now().Before(until) {
		return Grant{}, ErrWebLogin
	}
	p, err := w.spend(ctx, webName([16]byte(payload[8:])))
	if err != nil {
		return Grant{}, err
	}
	return w.auth.begin(ctx, l, Profile{Nickname: p.Nickname, Avatar: p.Avatar}, storage.Login{AppID: p.AppID, OpenID: p.OpenID, UnionID: p.UnionID})
}

// spend takes the person of a one-time code out of the store, for the first who asks, on whatever gateway.
func (w *Web) spend(ctx context.Context, name string) (p webPerson, err error) {
	err = w.auth.store.ChangeTemporary(ctx, name, func(value []byte) ([]byte, time.Duration, error) {
		p = webPerson{} // of an attempt that did not come to be
		if value == nil {
			return nil, 0, ErrWebLogin
		}
		if err := json.Unmarshal(value, &p); err != nil {
			return nil, 0, fmt.Errorf("a login on a web page: %w: %w", storage.ErrDamaged, err)
		}
		if p.OpenID == "" {
			return nil, 0, ErrWebLogin
		}
		return w.encode(p.spent())
	})
	if err != nil {
		return webPerson{}, fmt.Errorf("spending a one-time code: %w", err)
	}
	return p, nil
}
