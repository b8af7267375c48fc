package wechat

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"wxgate/secret"
)

// The failures of Push; neither quotes what was sent.
var (
	// errSignature is a push whose signature does not fit: not from WeChat, or the Token differs from that on mp.weixin.qq.com.
	errSignature = errors.New("the signature of the message push does not fit")
	// errPush is a push that is signed but cannot be opened: malformed, in the wrong mode, sealed with another EncodingAESKey
	// or for another mini-program.
	errPush = errors.New("the message push cannot be opened")
)

const (
	// maxPush is the longest body opened, in bytes. Real ones are below 10 KiB.
	maxPush = 1 << 20
	// maxPushField bounds timestamp, nonce and echostr, in bytes; real ones have 10, 10 and about 20.
	maxPushField = 128
)

// Push opens and seals the messages of 消息推送 (pages "消息推送" and "消息加解密"). Two things stay with the caller: that
// the timestamp of the query is at most 5 minutes off, and that its nonce was not seen within those 5 minutes. Neither is
// looked at here, where there is no clock and no memory, and without both a captured request can be sent again.
type Push struct {
	appID string
	token *secret.Text // behind pointers, as in Client
	key   *[]byte      // 32 bytes, or nil in plain mode

	sealed *regexp.Regexp // an Encrypt in a body; nil in plain mode
}

// Message is what WeChat pushed.
type Message struct {
	Body        []byte // plain JSON or XML, as chosen on mp.weixin.qq.com
	ContentType string // application/json or text/xml
}

// Format writes the length for every verb: the body holds an openid and what a person wrote.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%d bytes of %s", len(m.Body), m.ContentType)
}

// NewPush takes the Token and the EncodingAESKey of the page 消息推送 of mp.weixin.qq.com. With an encodingAESKey every
// message must be sealed (安全模式); with an empty one every message must be plain (明文模式), and then nothing signs
// the body: whoever learns one signed URL can send any message with it.
func NewPush(appID string, token, encodingAESKey secret.Text) (*Push, error) {
	if appID == "" || token.Reveal() == "" {
		return nil, errors.New("message push: appid and token must not be empty")
	}
	p := &Push{appID: appID, token: &token}
	if encodingAESKey.Reveal() == "" {
		return p, nil
	}
	key, err := decodeAESKey(encodingAESKey.Reveal())
	if err != nil {
		return nil, err
	}
	p.key, p.sealed = &key, newSealedShape()
	return p, nil
}

// Sealed reports whether messages are sealed (安全模式), so that what they say is WeChat's.
func (p *Push) Sealed() bool { return p.key != nil }

// Format writes *** for every verb.
func (Push) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// decodeAESKey is not strict about the last two bits: WeChat draws all 43 characters at random.
func decodeAESKey(text string) ([]byte, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r == '_' || r == '-' || notCodeRune(r) }) || len(text) != 43 {
		return nil, errors.New("message push: the EncodingAESKey is not 43 letters and digits")
	}
	return base64.StdEncoding.DecodeString(text + "=")
}

// Echo answers the GET with which WeChat tries a new URL: the body to send back is echostr, as text/plain, and nothing
// else. It is an error when the signature does not fit, and when echostr is missing or odd.
func (p *Push) Echo(query url.Values) (string, error) {
	if err := p.signed(query, plainSignature); err != nil {
		return "", err
	}
	echo, ok := single(query, "echostr")
	if !ok {
		return "", errPush
	}
	return echo, nil
}

// Open returns the message in the body of a POST with this query. It is an error when the signature does not fit, and when
// the body cannot be opened.
func (p *Push) Open(query url.Values, body []byte) (Message, error) {
	_, m, err := OpenPush([]*Push{p}, query, body)
	return m, err
}

// OpenPush is Open for mini-programs that share an address; of is the index of the one whose message it is. The body is searched
// for a sealed message once, however many they are.
func OpenPush(pushes []*Push, query url.Values, body []byte) (of int, m Message, err error) {
	if len(body) > maxPush {
		return 0, m, errPush
	}
	err = errSignature
	var sealed string
	searched := false
	for i, p := range pushes {
		if p.key == nil {
			m, err = p.openPlain(query, body)
		} else {
			if !searched {
				sealed, searched = p.sealedIn(body), true
			}
			m, err = p.openSealed(query, body, sealed)
		}
		if err == nil {
			return i, m, nil
		}
	}
	return 0, Message{}, err
}

// openPlain refuses what WeChat says is sealed.
func (p *Push) openPlain(query url.Values, body []byte) (Message, error) {
	if err := p.signed(query, plainSignature); err != nil {
		return Message{}, err
	}
	kind := query.Get("encrypt_type")
	if kind != "" && kind != "raw" {
		return Message{}, errPush
	}
	return messageOf(body)
}

// openSealed never falls back to plain: encrypt_type is signed by nobody. sealed is what sealedIn found.
func (p *Push) openSealed(query url.Values, body []byte, sealed string) (Message, error) {
	if sealed == "" {
		return Message{}, errPush
	}
	if err := p.signed(query, msgSignature, sealed); err != nil {
		return Message{}, err
	}
	if strict, err := envelope(body); err != nil || strict != sealed { // only what WeChat signed is parsed
		return Message{}, errPush
	}
	plain, err := unseal(*p.key, sealed, p.appID)
	if err != nil {
		return Message{}, errPush
	}
	return messageOf(plain)
}

// The parameters that carry a signature: of timestamp and nonce, and in safe mode of the sealed message with them.
const (
	plainSignature = "signature"
	msgSignature   = "msg_signature"
)

// Check refuses a POST with this query before its body is looked at, as far as that can be told: in plain mode the
// signature must fit, in safe mode its parts must be there. Otherwise it is errSignature.
func (p *Push) Check(query url.Values) error {
	if p.key == nil {
		return p.signed(query, plainSignature)
	}
	for _, name := range []string{"timestamp", "nonce", msgSignature} {
		if _, there := single(query, name); !there {
			return errSignature
		}
	}
	return nil
}

// signed compares the signature of that name with the one of Token, timestamp, nonce and more.
func (p *Push) signed(query url.Values, name string, more ...string) error {
	timestamp, okTime := single(query, "timestamp")
	nonce, okNonce := single(query, "nonce")
	got, okGot := single(query, name)
	want := pushSignature(append([]string{p.token.Reveal(), timestamp, nonce}, more...)...)
	if !okTime || !okNonce || !okGot || subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return errSignature
	}
	return nil
}

// single returns a parameter that is there once. Two of one name could be read differently by whoever checks the time.
func single(query url.Values, name string) (string, bool) {
	values := query[name]
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxPushField || !visibleASCII(values[0]) {
		return "", false
	}
	return values[0], true
}

// pushSignature returns sha1 of the parts in lexical order, one after the other, in lower-case hex.
func pushSignature(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}
