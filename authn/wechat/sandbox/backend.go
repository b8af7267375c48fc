package sandbox

import (
	"sync"
	"sync/atomic"
	"time"

	"wxgate/authn/wechat"
)

// minuteQuota is how often one person can log in within a minute (page "auth.code2Session" of the mini-games).
const minuteQuota = 100

// backend is what WeChat's servers know: all that happened since New or Reset.
type backend struct {
	cfg    *Config
	codes  *ledger // of wx.login
	phones *ledger // of getPhoneNumber
	webs   *webCodes
	none   *ledger // of the calls without a code
	keys   *keyring
	tokens *tokens
	sealed *hashes
	orders *orders
	media  *media
	quota  *quota
	rules  *failureRules
	counts *counts
	clock  *clock

	pushURL atomic.Pointer[string] // where events go that nobody asked for; nil: nowhere
}

func newBackend(cfg *Config) *backend {
	c := &clock{base: cfg.Now}
	return &backend{
		cfg:    cfg,
		codes:  newLedger(c.now),
		phones: newLedger(c.now),
		webs:   &webCodes{ledger: newLedger(c.now), logins: map[string]webLogin{}, tokens: map[string]webLogin{}},
		none:   newLedger(c.now),
		keys:   &keyring{appID: cfg.AppID, now: c.now, logins: map[string]time.Time{}, keys: map[string]string{}, old: map[string][]string{}, persons: map[string]string{}},
		tokens: newTokens(c.now, cfg.TokenTTL),
		sealed: &hashes{made: map[string]time.Time{}},
		orders: &orders{byNumber: map[string]*order{}, coins: map[wallet]int{}, spent: map[string]int{}},
		media:  &media{},
		quota:  &quota{now: c.now, limit: cfg.MinuteQuota},
		rules:  &failureRules{failures: map[string]*rule{}, delays: map[string]time.Duration{}},
		counts: &counts{apis: map[string]APIStats{}},
		clock:  c,
	}
}

// login spends the code and returns whose login it is, or the errcode. A code is spent when it arrives, not when it is
// answered: a lost answer is a lost code, as with WeChat.
func (b *backend) login(code string, script script) (person string, errcode int) {
	if script.errcode != wechat.CodeOK {
		return "", script.errcode
	}
	if person := or(script.person, b.codes.owner(code)); person != "" && !b.quota.take(person) {
		return "", wechat.ErrCodeMinuteQuota
	}
	return spend(b.codes, code, script)
}

// session is the answer to a login. As with WeChat, a success has no errcode.
func (b *backend) session(person string) map[string]any {
	answer := map[string]any{"session_key": b.keys.renew(person), "openid": openID(b.cfg.AppID, person)}
	if b.cfg.OpenPlatform {
		answer["unionid"] = unionID(person)
	}
	return answer
}

// spend returns the person of a code that is good.
func spend(l *ledger, code string, script script) (person string, errcode int) {
	if script.reusable {
		return script.person, wechat.CodeOK
	}
	person, result := l.spend(code, script.person)
	switch result {
	case used:
		return "", wechat.ErrCodeCodeUsed
	case unknown:
		return "", wechat.ErrCodeInvalidCode
	}
	return person, wechat.CodeOK
}

// clock is Config.Now and what Advance added.
type clock struct {
	base func() time.Time

	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base().Add(c.ahead)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// quota counts the logins of each person within the minute.
type quota struct {
	now   func() time.Time
	limit int // below 0: none

	mu     sync.Mutex
	minute time.Time
	used   map[string]int
}

// take reports whether person has one left.
func (q *quota) take(person string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if minute := q.now().Truncate(time.Minute); q.used == nil || !minute.Equal(q.minute) {
		q.minute, q.used = minute, map[string]int{}
	}
	q.used[person]++
	return q.limit < 0 || q.used[person] <= q.limit
}
