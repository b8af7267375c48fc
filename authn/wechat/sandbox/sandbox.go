// Package sandbox is a local stand-in for api.weixin.qq.com: a real HTTP server that speaks its protocol, issues codes,
// and misbehaves on demand. `wxgate demo` and the tests use it.
//
// It answers jscode2session, stable_token, getuserphonenumber, checksession, resetusersessionkey, checkencryptedmsg,
// getwxacode, getwxacodeunlimit, media/upload, media/get, callback/check and those below /wxaapi/newtmpl as WeChat does, and of virtual
// payment query_order, refund_order, notify_provide_goods, query_user_balance, currency_pay and cancel_currency_pay with
// their signatures, and msg_sec_check and media_check_async of version 2; every other path below /cgi-bin and /wxa wants a
// good access_token and echoes the request.
//
// A text or an address with 违禁 or "risky" in it is risky, and one with 存疑 or "review" is for review.
//
// A code of wx.login is one of
//
//	what IssueCode or POST /sandbox/code returned   a login of that person, once, within 5 minutes
//	demo-<person>                                   a login of that person, every time: the curl line in the README
//	demo-<person>-<anything>                        a login of that person, once
//	slow-<duration>-<person>[-<anything>]           the same as demo, after a wait: slow-1500ms-alice; at most 60 s
//	err-<errcode>                                   that errcode, every time: err-45011, err--1
//	strcode-<errcode>                               the same with the errcode as a string, as one page of Tencent shows it
//	broken-<how>[-<person>]                         a broken answer, every time: see broken.go for the ways
//
// and anything else is answered 40029. A phone code, the one of a getPhoneNumber button, is what IssuePhoneCode or POST
// /sandbox/phone-code returned, or one of the same forms but strcode and broken.
//
// A web page of Config.OfficialAccount or Config.Website logs people in at /connect/oauth2/authorize and /connect/qrconnect,
// where a button allows or refuses it, or says that the page is a snapshot (快照页). Its codes have the same forms too, and
// snapshot-<person>.
//
// The control API rehearses failures from a terminal; S is the address of the sandbox:
//
//	curl $S/sandbox/code       -d '{"person":"alice"}'                       a code for wx.login: {"code":"…"}
//	curl $S/sandbox/phone-code -d '{"person":"alice"}'                       a code for /auth/phone: {"code":"…"}
//	curl $S/sandbox/web-code   -d '{"person":"alice"}'                       a code for a web page: {"code":"…"}
//	curl $S/sandbox/encrypt    -d '{"person":"alice","kind":"phone"}'        encryptedData, iv, rawData and signature under the
//	                                                                         session_key of her last login; the kinds are phone,
//	                                                                         werun, share and userinfo, or give an "object"
//	curl $S/sandbox/fail       -d '{"api":"jscode2session","kinds":["-1"],"count":2}'
//	                                                                         the next two logins are answered errcode -1
//	curl $S/sandbox/fail       -d '{"api":"*","rate":0.2,"kinds":["timeout","reset","45011","html","half","502"],"seed":7}'
//	                                                                         a fifth of all calls fails, in the same order
//	                                                                         every time; no kinds end it, {} ends all
//	curl $S/sandbox/latency    -d '{"api":"jscode2session","ms":1500}'       every login takes 1.5 s more; 0 ends it
//	curl $S/sandbox/clock      -d '{"advance":"2h"}'                         codes and tokens age by two hours
//	curl $S/sandbox/push       -d '{"url":"http://127.0.0.1:8080/wechat/push","message":{"MsgType":"event"}}'
//	                                                                         a signed message push to an address on this machine
//	curl $S/sandbox/push-to    -d '{"url":"http://127.0.0.1:8080/wechat/push"}'
//	                                                                         where the results of media_check_async are pushed;
//	                                                                         without a url: nowhere
//	curl $S/sandbox/pay        -d '{"url":"http://127.0.0.1:8080/pay/notify","mistake":"twice"}'
//	                                                                         a signed notification of WeChat Pay; the mistakes are
//	                                                                         signtest, forged, altered, stale, serial, sealed, twice
//	curl $S/sandbox/pay                                                      the keys that it is signed with, in PEM
//	curl $S/sandbox/virtual-pay -d '{"person":"alice","mode":"…","signData":"…","paySig":"…","signature":"…","push":"http://127.0.0.1:8080/wechat/push"}'
//	                                                                         wx.requestVirtualPayment on her phone, which pays:
//	                                                                         {"errCode":0,…}, or -15005 (signature), -15006
//	                                                                         (paySig), -15007 (an old session_key), -15002 (an
//	                                                                         outTradeNo that was used), …; then the delivery is
//	                                                                         pushed to "push" until it answers {"ErrCode":0}
//	curl $S/sandbox/stats                                                    calls by API, and how often each code arrived
//	curl $S/sandbox/reset -X POST                                            all of it as at the start
//
// An api is the last segment of the path, * is each that has no rule of its own. Everything is safe for concurrent use.
package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/authn/wechat"
	"wxgate/secret"
)

// CodeTTL is how long a code lives (page "wx.login").
const CodeTTL = 5 * time.Minute

// Config describes the mini-program that the sandbox serves.
type Config struct {
	AppID        string           // the one appid it knows; required
	Secret       secret.Text      // the secret of that appid; required
	OpenPlatform bool             // true: the mini-program is bound to an Open Platform account, so answers carry a unionid
	Now          func() time.Time // the clock by which codes and tokens die; nil is time.Now
	TokenTTL     time.Duration    // how long an access_token lives; 0 is 2 h, as with WeChat
	MinuteQuota  int              // logins per person and minute, then 45011; 0 is 100, as with WeChat; below 0 there is no limit
	PushToken    secret.Text      // the Token of the message push; empty: SendPush fails
	PushAESKey   secret.Text      // the EncodingAESKey of the message push; empty: messages are sent plain
	MchID        string           // the merchant of WeChat Pay; empty: there is none
	APIv3Key     secret.Text      // of the merchant, 32 bytes

	OfficialAccount WebAccount // whose web pages log people in within WeChat; the zero value: none
	Website         WebAccount // whose web pages log people in by a QR code; the zero value: none

	OfferID       string        // of virtual payment; empty: every one is taken
	AppKey        secret.Text   // of virtual payment in production; empty: no paySig fits there
	SandboxAppKey secret.Text   // of virtual payment in its sandbox, env 1; empty: no paySig fits there
	PushRetry     time.Duration // before the second notification of a payment, and twice as long before each later one; 0 is 2 s
}

// Sandbox is a stand-in for WeChat. Use New to create one.
type Sandbox struct {
	cfg    *Config      // behind a pointer, so that a Sandbox printed with %+v shows an address and not the secret
	push   *wechat.Push // nil without Config.PushToken
	closed chan struct{}

	merchant func() (*Merchant, error) // its keys are made when it is asked for

	backend atomic.Pointer[backend]
	notices sync.WaitGroup // notifications of payments under way

	mu       sync.Mutex
	server   *http.Server
	listener net.Listener
	served   chan struct{} // closed when the server has returned
}

// New returns a Sandbox that is not listening yet.
func New(cfg Config) (*Sandbox, error) {
	if cfg.AppID == "" || cfg.Secret.Reveal() == "" {
		return nil, errors.New("sandbox: appid and secret must not be empty")
	}
	cfg.setDefaults()
	s := &Sandbox{cfg: &cfg, closed: make(chan struct{})}
	if cfg.PushToken.Reveal() != "" {
		push, err := wechat.NewPush(cfg.AppID, cfg.PushToken, cfg.PushAESKey)
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		s.push = push
	}
	s.merchant = sync.OnceValues(func() (*Merchant, error) {
		if cfg.MchID == "" {
			return nil, errNoMerchant
		}
		return NewMerchant(cfg.MchID, cfg.APIv3Key, cfg.Now)
	})
	s.Reset()
	return s, nil
}

// setDefaults fills in what a zero stands for.
func (c *Config) setDefaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TokenTTL == 0 {
		c.TokenTTL = tokenTTL
	}
	if c.MinuteQuota == 0 {
		c.MinuteQuota = minuteQuota
	}
	if c.PushRetry == 0 {
		c.PushRetry = pushRetry
	}
}

// Reset forgets everything that happened since New: codes, tokens, session_keys, failures, waits, counts and the clock.
func (s *Sandbox) Reset() { s.backend.Store(newBackend(s.cfg)) }

// IssueCode returns a fresh code for person, as wx.login would on that person's phone.
func (s *Sandbox) IssueCode(person string) string { return s.backend.Load().codes.issue(person) }

// IssuePhoneCode returns a fresh code for person, as a getPhoneNumber button would on that person's phone.
func (s *Sandbox) IssuePhoneCode(person string) string { return s.backend.Load().phones.issue(person) }

// IssueWebCode returns a fresh code for person, as the page of WeChat gives it to a web page of the account. snapshot says that
// the page is a snapshot.
func (s *Sandbox) IssueWebCode(appID, person, scope string, snapshot bool) string {
	return s.backend.Load().webs.issue(webLogin{appID, person, scope, snapshot})
}

// OpenID returns the openid of person, the same every time.
func (s *Sandbox) OpenID(person string) string { return openID(s.cfg.AppID, person) }

// Seen returns how often code has arrived, as a js_code, a phone code or that of a web page, so that a test can prove that it was sent
// once.
func (s *Sandbox) Seen(code string) int {
	b := s.backend.Load()
	return b.codes.seen(code) + b.phones.seen(code) + b.webs.seen(code)
}

// Advance moves the clock of the sandbox, by which codes and tokens age.
func (s *Sandbox) Advance(d time.Duration) { s.backend.Load().clock.add(d) }

// Fail replaces the Failure of its API.
func (s *Sandbox) Fail(f Failure) error {
	if f.Rate < 0 || f.Rate > 1 || f.Count < 0 {
		return fmt.Errorf("sandbox: rate %g is not 0 to 1, or count %d is negative", f.Rate, f.Count)
	}
	for _, kind := range f.Kinds {
		if errcode, ok := errcodeKind(kind); !slices.Contains(Kinds(), kind) && (!ok || errcode == 0) {
			return fmt.Errorf("sandbox: kind %q is neither an errcode nor one of %q", kind, Kinds())
		}
	}
	s.backend.Load().rules.fail(f)
	return nil
}

// Delay makes every call of api take d longer, at most 60 s; 0 ends it. api is as in Failure.
func (s *Sandbox) Delay(api string, d time.Duration) {
	s.backend.Load().rules.delay(api, min(d, maxDelay))
}

// Stats returns the counts so far, the lists sorted.
func (s *Sandbox) Stats() Stats {
	b := s.backend.Load()
	stats := Stats{APIs: b.counts.all(), Codes: map[string]int{}, Twice: []string{}, Resent: []string{}}
	for _, book := range []*ledger{b.codes, b.phones, b.webs.ledger} {
		book.each(stats.add)
	}
	slices.Sort(stats.Twice)
	slices.Sort(stats.Resent)
	return stats
}

// EncryptData encrypts object, with a watermark of this mini-program, with the session_key of person's last login; it
// fails if there was none. Object returns the usual objects.
func (s *Sandbox) EncryptData(person string, object map[string]any) (OpenData, error) {
	return s.backend.Load().encrypt(person, object)
}

// Object returns what wx.getPhoneNumber (phone), wx.getWeRunData (werun), wx.getShareInfo (share) or wx.getUserInfo
// (userinfo) would encrypt for person, or nil for any other kind.
func (s *Sandbox) Object(kind, person string) map[string]any {
	return s.backend.Load().object(kind, person)
}

// Handler serves WeChat's API and the control API of the package comment. It does not check addresses: whoever uses it
// without Start must keep it off the network.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", (&api{s.cfg, s.backend.Load, s.closed, cashier{s.backend.Load, s.tell}, moderator{s.backend.Load, s.pushEvent}}).handler())
	mux.Handle("/sandbox/", control{s}.handler())
	return mux
}

// Start listens on a loopback address such as 127.0.0.1:0 and serves until Close. Any other address is refused: the
// sandbox logs everybody in as anybody.
func (s *Sandbox) Start(listen string) error {
	if err := loopbackOnly(listen); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil || s.isClosed() {
		return errors.New("sandbox: was started before")
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.serve(listener)
	return nil
}

// serve runs the server in a goroutine that Close waits for.
func (s *Sandbox) serve(listener net.Listener) {
	s.listener = listener
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		// Serve always returns an error; after Close it is ErrServerClosed, and nobody is left to tell of another.
		_ = s.server.Serve(listener)
	}()
}

// Format writes the address for every verb: %s looks behind pointers, where the secret is.
func (s *Sandbox) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("sandbox " + s.URL())) }

// URL returns http://127.0.0.1:port for wechat.base_url, or "" before Start.
func (s *Sandbox) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String()
}

// Close drops all connections, ends all waits and returns once the listener is closed. Further calls do nothing.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	close(s.closed)
	s.notices.Wait()
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	<-s.served
	return err
}

// isClosed reports whether Close was called. The caller holds mu.
func (s *Sandbox) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// loopbackOnly accepts 127.0.0.0/8, ::1 and localhost.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("sandbox: listen address %q: %w", listen, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("sandbox: refuses to listen on %q: only a loopback address such as 127.0.0.1:0", listen)
}
