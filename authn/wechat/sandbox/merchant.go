package sandbox

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/secret"
)

// Merchant is WeChat Pay as one merchant sees it: it signs notifications (微信支付回调通知, API v3) with a public key or with a
// platform certificate, both of its own, and seals them with the APIv3 key. It is safe for concurrent use.
type Merchant struct {
	mchID     string
	seal      cipher.AEAD
	now       func() time.Time
	key, cert *rsa.PrivateKey
	template  *x509.Certificate
	der       []byte
}

// merchantKeyBits is the size of the keys of WeChat Pay.
const merchantKeyBits = 2048

// NewMerchant makes the keys of WeChat Pay for a merchant. now is the clock of its timestamps; nil is time.Now.
func NewMerchant(mchID string, apiV3Key secret.Text, now func() time.Time) (*Merchant, error) {
	block, err := aes.NewCipher([]byte(apiV3Key.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("sandbox: the APIv3 key: %w", err)
	}
	m := &Merchant{mchID: mchID, now: now}
	if now == nil {
		m.now = time.Now
	}
	if m.seal, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	for _, key := range []**rsa.PrivateKey{&m.key, &m.cert} {
		if *key, err = rsa.GenerateKey(rand.Reader, merchantKeyBits); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
	m.template = &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Tenpay.com sign", Organization: []string{"Tenpay.com"}},
		NotBefore: m.now().Add(-time.Hour), NotAfter: m.now().AddDate(5, 0, 0),
	}
	if m.der, err = x509.CreateCertificate(rand.Reader, m.template, m.template, &m.cert.PublicKey, m.cert); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return m, nil
}

// MchID returns the number of the merchant.
func (m *Merchant) MchID() string { return m.mchID }

// PublicKeyID returns the Wechatpay-Serial of the public key.
func (m *Merchant) PublicKeyID() string { return "PUB_KEY_ID_0" + m.mchID + "2024010100000000" }

// PublicKey returns the public key in PEM, as the merchant console has it.
func (m *Merchant) PublicKey() []byte {
	der, _ := x509.MarshalPKIXPublicKey(&m.key.PublicKey) // an RSA key always encodes
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Certificate returns the platform certificate in PEM.
func (m *Merchant) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.der})
}

// Serial returns the Wechatpay-Serial of the platform certificate.
func (m *Merchant) Serial() string { return fmt.Sprintf("%X", m.template.SerialNumber) }

// The mistakes that WeChat Pay makes, and those of others.
const (
	MistakeProbe   = "signtest" // the signature is wrong on purpose, as WeChat Pay sends it to see whether it is checked
	MistakeForged  = "forged"   // the signature is another one's
	MistakeAltered = "altered"  // the body changed after it was signed
	MistakeStale   = "stale"    // the timestamp is 6 minutes old
	MistakeSerial  = "serial"   // the serial is of a key that nobody knows
	MistakeSealed  = "sealed"   // the seal is that of another APIv3 key
	MistakeTwice   = "twice"    // it comes twice at a time, over two connections
)

// Mistakes are all that a Notification may have.
func Mistakes() []string {
	return []string{MistakeProbe, MistakeForged, MistakeAltered, MistakeStale, MistakeSerial, MistakeSealed, MistakeTwice}
}

// Notification is what WeChat Pay tells a merchant.
type Notification struct {
	ID            string          `json:"id"`             // empty: a new one
	Event         string          `json:"event"`          // empty: TRANSACTION.SUCCESS
	Resource      json.RawMessage `json:"resource"`       // the object that is sealed; empty: that of Transaction
	ByCertificate bool            `json:"by_certificate"` // signed with the certificate instead of the public key
	Mistake       string          `json:"mistake"`        // one of Mistakes, empty: none
}

// Transaction returns what WeChat Pay says of an order that a person has paid, in fen.
func (m *Merchant) Transaction(appID, openID, order string, total int) json.RawMessage {
	text, _ := json.Marshal(map[string]any{ // strings and numbers always encode
		"mchid": m.mchID, "appid": appID, "out_trade_no": order, "transaction_id": "42000" + order, "trade_type": "JSAPI",
		"trade_state": "SUCCESS", "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": "",
		"success_time": m.now().Format(time.RFC3339), "payer": map[string]string{"openid": openID},
		"amount": map[string]any{"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
	})
	return text
}

// Sign returns the header and the body of a notification.
func (m *Merchant) Sign(n Notification) (http.Header, []byte, error) {
	if n.Mistake != "" && !slices.Contains(Mistakes(), n.Mistake) {
		return nil, nil, fmt.Errorf("sandbox: the mistake %q is none of %q", n.Mistake, Mistakes())
	}
	body, err := m.envelope(n)
	if err != nil {
		return nil, nil, err
	}
	at, key, serial := m.now(), m.key, m.PublicKeyID()
	if n.ByCertificate {
		key, serial = m.cert, m.Serial()
	}
	if n.Mistake == MistakeStale {
		at = at.Add(-6 * time.Minute)
	}
	timestamp, nonce := strconv.FormatInt(at.Unix(), 10), randomHex()
	sum := sha256.Sum256([]byte(timestamp + "\n" + nonce + "\n" + string(body) + "\n"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, nil, fmt.Errorf("sandbox: %w", err)
	}
	encoded := base64.StdEncoding.EncodeToString(signature)
	switch n.Mistake {
	case MistakeProbe:
		encoded = "WECHATPAY/SIGNTEST/" + encoded[len("WECHATPAY/SIGNTEST/"):]
	case MistakeForged:
		signature[0] ^= 1
		encoded = base64.StdEncoding.EncodeToString(signature)
	case MistakeSerial:
		serial = "PUB_KEY_ID_0" + m.mchID + "2099010100000000"
	case MistakeAltered:
		body = bytes.Replace(body, []byte(`"summary":"`), []byte(`"summary":"x`), 1)
	}
	return http.Header{
		"Wechatpay-Timestamp": {timestamp}, "Wechatpay-Nonce": {nonce}, "Wechatpay-Signature": {encoded}, "Wechatpay-Serial": {serial},
		"Wechatpay-Signature-Type": {"WECHATPAY2-SHA256-RSA2048"}, "Content-Type": {"application/json"}, "User-Agent": {"Mozilla/4.0"},
	}, body, nil
}

// envelope is the body of a notification, sealed.
func (m *Merchant) envelope(n Notification) ([]byte, error) {
	if n.ID == "" {
		n.ID = newRequestID()
	}
	if n.Event == "" {
		n.Event = "TRANSACTION.SUCCESS"
	}
	if len(n.Resource) == 0 {
		n.Resource = m.Transaction("wx1234567890abcdef", "oSandbox", randomHex(), 100)
	}
	original, associated := "transaction", "transaction"
	if strings.HasPrefix(n.Event, "REFUND.") {
		original, associated = "refund", ""
	}
	nonce, seal := randomHex()[:m.seal.NonceSize()], m.seal
	if n.Mistake == MistakeSealed {
		block, _ := aes.NewCipher([]byte(randomHex()[:32])) // a key of 32 bytes
		seal, _ = cipher.NewGCM(block)
	}
	return json.Marshal(map[string]any{
		"id": n.ID, "create_time": m.now().Format(time.RFC3339), "event_type": n.Event, "resource_type": "encrypt-resource", "summary": "支付成功",
		"resource": map[string]string{
			"original_type": original, "algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated,
			"ciphertext": base64.StdEncoding.EncodeToString(seal.Seal(nil, []byte(nonce), n.Resource, []byte(associated))),
		},
	})
}

// Notify sends a notification to an address as WeChat Pay does, and returns the status and the body of the answer; of two, those
// of the later one. WeChat Pay wants 200 or 204.
func (m *Merchant) Notify(ctx context.Context, address string, n Notification) (status int, answer string, err error) {
	header, body, err := m.Sign(n)
	if err != nil {
		return 0, "", err
	}
	if n.Mistake != MistakeTwice {
		return notify(ctx, address, header, body)
	}
	first := make(chan error, 1)
	go func() {
		_, _, err := notify(ctx, address, header, body)
		first <- err
	}()
	status, answer, err = notify(ctx, address, header, body)
	return status, answer, errors.Join(err, <-first)
}

// notify sends one request on a connection of its own.
func notify(ctx context.Context, address string, header http.Header, body []byte) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("sandbox: %w", err)
	}
	request.Header = header.Clone()
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return 0, "", fmt.Errorf("sandbox: notifying %s: %w", request.URL.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxRequest))
	return response.StatusCode, string(answer), err
}

// errNoMerchant is a notification of a sandbox that has no merchant.
var errNoMerchant = errors.New("sandbox: there is no Config.MchID")

// Merchant returns the merchant of Config.MchID, the same every time; without one it is an error.
func (s *Sandbox) Merchant() (*Merchant, error) { return s.merchant() }

// notify is POST /sandbox/pay.
func (c control) notify(w http.ResponseWriter, r *http.Request) {
	var body struct {
		URL string `json:"url"`
		Notification
	}
	if !read(w, r, &body, `{"url":"http://127.0.0.1:8080/pay/notify","resource":{"mchid":"…","out_trade_no":"1","trade_state":"SUCCESS"}}`) {
		return
	}
	if target, err := url.Parse(body.URL); err != nil || target.Scheme != "http" || loopbackOnly(target.Host) != nil {
		refuse(w, "want an http url with a loopback host and a port: the sandbox notifies nobody else over HTTP")
		return
	}
	var status int
	var answer string
	merchant, err := c.Merchant()
	if err == nil {
		status, answer, err = merchant.Notify(r.Context(), body.URL, body.Notification)
	}
	if err != nil {
		refuse(w, err.Error())
		return
	}
	respond(w, map[string]any{"status": status, "answer": answer})
}

// merchantKeys is GET /sandbox/pay: what a gateway needs to verify notifications, in PEM.
func (c control) merchantKeys(w http.ResponseWriter, _ *http.Request) {
	merchant, err := c.Merchant()
	if err != nil {
		refuse(w, err.Error())
		return
	}
	respond(w, map[string]string{
		"mchid": merchant.mchID, "public_key_id": merchant.PublicKeyID(), "public_key": string(merchant.PublicKey()),
		"serial": merchant.Serial(), "certificate": string(merchant.Certificate()),
	})
}
