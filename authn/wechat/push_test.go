package wechat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxgate/secret"
)

// The vector of Tencent's own sample of WXBizMsgCrypt.
const (
	pushToken  = "spamtest"
	pushKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	pushAppID  = "wx2c2769f8efd9abc2"
	pushSealed = "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXpbUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlpKn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
	pushOpened = "<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName>\n<FromUserName><![CDATA[oyORnuP8q7ou2gfYjqLzSIWZf0rs]]></FromUserName>\n<CreateTime>1409735668</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[abcdteT]]></Content>\n<MsgId>6054768590064713728</MsgId>\n</xml>"
)

// vectorQuery is the query of the vector, and another one when pairs of name and value change it.
func vectorQuery(changes ...string) url.Values {
	query := url.Values{
		"timestamp": {"1409735669"}, "nonce": {"1320562132"}, "encrypt_type": {"aes"},
		"msg_signature": {"5d197aaffba7e9b25a30732f161a50dee96bd5fa"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
	}
	return query
}

func newTestPush(t *testing.T, appID string, key secret.Text) *Push {
	t.Helper()
	p, err := NewPush(appID, pushToken, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpenReadsTencentsVectorInBothEnvelopes(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, pushKey)
	for _, body := range []string{
		"<xml>\n<ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName>\n<Encrypt><![CDATA[" + pushSealed + "]]></Encrypt>\n</xml>\n",
		`{"ToUserName":"gh_10f6c3c3ac5a","Encrypt":"` + pushSealed + `"}`,
	} {
		got, err := p.Open(vectorQuery(), []byte(body))
		if err != nil || string(got.Body) != pushOpened || got.ContentType != "text/xml" {
			t.Errorf("Open(%.40s…): got %s %q and %v, want the vector as text/xml", body, got.ContentType, got.Body, err)
		}
	}
}

func TestOpenRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, pushKey)
	twice := vectorQuery()
	twice.Add("timestamp", "1409735669")
	long := vectorQuery("nonce", strings.Repeat("1", 129))
	long.Set("msg_signature", pushSignature(pushToken, "1409735669", long.Get("nonce"), pushSealed))
	body := []byte(`{"Encrypt":"` + pushSealed + `"}`)
	for name, row := range map[string]struct {
		query url.Values
		body  []byte
	}{
		"other timestamp":    {vectorQuery("timestamp", "1409735670"), body},
		"other nonce":        {vectorQuery("nonce", "1320562133"), body},
		"timestamp twice":    {twice, body},
		"nonce of 129 bytes": {long, body},
		"other signature":    {vectorQuery("msg_signature", strings.Repeat("0", 40)), body},
		"upper case":         {vectorQuery("msg_signature", "5D197AAFFBA7E9B25A30732F161A50DEE96BD5FA"), body},
		"no signature":       {vectorQuery("msg_signature", ""), body},
		"no query":           {nil, body},
		"only the plain one": {newTestPush(t, pushAppID, "").Query(time.Unix(1409735669, 0)), body},
		"other body":         {vectorQuery(), []byte(`{"Encrypt":"` + pushSealed[4:] + `"}`)},
	} {
		if got, err := p.Open(row.query, row.body); !errors.Is(err, errSignature) || got.Body != nil {
			t.Errorf("Open, %s: got %q and %v, want errSignature", name, got.Body, err)
		}
	}
}

func TestOpenRefusesWhatIsSignedAndNotSealedForUs(t *testing.T) {
	t.Parallel()
	ours := newTestPush(t, pushAppID, pushKey)
	foreign := newTestPush(t, "wx0000000000000000", pushKey)
	otherKey := newTestPush(t, pushAppID, secret.Text("0"+pushKey[1:]))
	for name, sealer := range map[string]*Push{"another mini-program": foreign, "another key": otherKey} {
		query, body, err := sealer.Request([]byte(`{"a":1}`), time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ours.Open(query, body); !errors.Is(err, errPush) || got.Body != nil {
			t.Errorf("Open of what %s sealed: got %q and %v, want errPush", name, got.Body, err)
		}
	}
	for name, encrypt := range map[string]string{
		"not base64": "!", "16 bytes": "AAAAAAAAAAAAAAAAAAAAAA==", "32 bytes": strings.Repeat("AAAA", 10) + "AAA=", "a line break": pushSealed[:4] + "\n" + pushSealed[4:],
	} {
		query := vectorQuery("msg_signature", pushSignature(pushToken, "1409735669", "1320562132", encrypt))
		body := fmt.Appendf(nil, `{"Encrypt":%q}`, encrypt)
		if got, err := ours.Open(query, body); !errors.Is(err, errPush) {
			t.Errorf("Open of %s: got %q and %v, want errPush", name, got.Body, err)
		}
	}
	for _, body := range []string{"", "x", "{", `{"Encrypt":""}`, `{"MsgType":"text"}`, "<xml>", "<xml></xml>", "<xml><Encrypt>a</Encrypt><Encrypt>a</Encrypt></xml>", "<a><Encrypt>a</Encrypt></a>", "<xml><Encrypt>a</Encrypt></xml><xml/>", "<xml><Encrypt>&x;</Encrypt></xml>", `{"Encrypt":7}`, `{"Encrypt":"a","Encrypt":"b"}`, strings.Repeat(" ", 1<<20) + "{}"} {
		if _, err := ours.Open(vectorQuery(), []byte(body)); !errors.Is(err, errPush) && !errors.Is(err, errSignature) {
			t.Errorf("Open of the body %.60q: got %v, want errPush, or errSignature where there is an Encrypt", body, err)
		}
	}
}

func TestALengthThatLiesIsRefused(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, pushKey)
	for _, length := range []uint32{0, 6, 8, 25, 26, 1 << 31, 1<<32 - 1} {
		plain := append(make([]byte, 16), byte(length>>24), byte(length>>16), byte(length>>8), byte(length))
		plain = append(plain, `{"a":1}`+pushAppID...)
		sealed := rawSeal(t, *p.key, plain)
		if got, err := unseal(*p.key, sealed, pushAppID); err == nil {
			t.Errorf("unseal with length %d of 7: got %q, want an error", length, got)
		}
	}
}

// rawSeal pads and encrypts plain, whatever it says.
func rawSeal(t *testing.T, key, plain []byte) string {
	t.Helper()
	n := pushBlock - len(plain)%pushBlock
	plain = append(plain, bytes.Repeat([]byte{byte(n)}, n)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain)
}

func TestWhatSealMakesOpenReads(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, pushKey)
	for _, message := range []string{`{}`, `{"Content":"` + strings.Repeat("你好", 100) + `"}`, `<xml><a>1</a></xml>`, "<xml><Content><![CDATA[<!DOCTYPE html>]]></Content></xml>"} {
		for pad := range 33 {
			text := strings.Repeat(" ", pad) + message
			query, body, err := p.Request([]byte(text), time.Unix(1_800_000_000, 0))
			if err != nil {
				t.Fatalf("Request(%q): got %v", text, err)
			}
			got, err := p.Open(query, body)
			if err != nil || string(got.Body) != text {
				t.Errorf("Open of a sealed %q: got %q and %v", text, got.Body, err)
			}
			if bytes.Contains(body, []byte("Content")) || query.Get("timestamp") != "1800000000" {
				t.Errorf("request: got %s at %s, want nothing readable at 1800000000", body, query.Get("timestamp"))
			}
		}
	}
}

func TestAReplyIsSignedAndOpens(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, pushKey)
	reply, err := p.Seal([]byte(`{"MsgType":"text"}`), time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{"timestamp": {reply.Timestamp}, "nonce": {reply.Nonce}, "msg_signature": {reply.Signature}}
	for _, body := range [][]byte{reply.JSON(), reply.XML()} {
		if got, err := p.Open(query, body); err != nil || string(got.Body) != `{"MsgType":"text"}` {
			t.Errorf("Open(%s): got %q and %v, want the reply", body, got.Body, err)
		}
	}
	if !bytes.Contains(reply.JSON(), []byte(`"TimeStamp":1800000000`)) {
		t.Errorf("reply: got %s, want the time as a number", reply.JSON())
	}
	if _, err := newTestPush(t, pushAppID, "").Seal(nil, time.Now()); !errors.Is(err, errPush) {
		t.Errorf("Seal in plain mode: got %v, want errPush", err)
	}
	if _, err := p.Seal(make([]byte, maxPush+1), time.Now()); !errors.Is(err, errPush) {
		t.Errorf("Seal of more than 1 MiB: got %v, want errPush", err)
	}
}

// TestABodyIsSearchedOnce however many mini-programs share the address: those behind the first have nothing to search with.
func TestABodyIsSearchedOnce(t *testing.T) {
	t.Parallel()
	plain := newTestPush(t, "wx0", "")
	pushes := []*Push{plain, newTestPush(t, "wx1", "0bcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"), newTestPush(t, "wx2", "1bcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"), newTestPush(t, pushAppID, pushKey)}
	for _, p := range pushes[2:] {
		p.sealed = nil
	}
	of, got, err := OpenPush(pushes, vectorQuery(), []byte(`{"Encrypt":"`+pushSealed+`"}`))
	if of != 3 || err != nil || string(got.Body) != pushOpened {
		t.Errorf("of %d: %s, %v", of, got.Body, err)
	}
	if _, _, err := OpenPush(pushes, vectorQuery(), []byte(`{"Encrypt":"`+pushSealed+`","Encrypt":"`+pushSealed+`"}`)); err == nil {
		t.Error("a body with two was opened")
	}
}

// TestANonceIsNoTime that a receiver could take a message for, with the two exchanged.
func TestANonceIsNoTime(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if nonce := newNonce(); len(nonce) != 10 || nonce < "8" || strings.Trim(nonce, "0123456789") != "" {
			t.Fatalf("%s is not 10 digits from 8000000000 on", nonce)
		}
	}
}

func TestPlainModeTakesPlainMessagesOnly(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, "")
	query := p.Query(time.Unix(1_800_000_000, 0))
	for body, want := range map[string]string{`{"MsgType":"event"}`: "application/json", "<xml><a>1</a></xml>": "text/xml"} {
		got, err := p.Open(query, []byte(body))
		if err != nil || string(got.Body) != body || got.ContentType != want {
			t.Errorf("Open(%s): got %s %q and %v, want it as %s", body, got.ContentType, got.Body, err, want)
		}
	}
	for _, body := range []string{"", "x", "[]", "{}x", "<html></html>", "\xff{}"} {
		if _, err := p.Open(query, []byte(body)); !errors.Is(err, errPush) {
			t.Errorf("Open(%q): got %v, want errPush", body, err)
		}
	}
	query.Set("encrypt_type", "raw")
	if _, err := p.Open(query, []byte("{}")); err != nil {
		t.Errorf("Open with encrypt_type=raw: got %v, want nil", err)
	}
	query.Set("encrypt_type", "aes")
	if _, err := p.Open(query, []byte("{}")); !errors.Is(err, errPush) {
		t.Errorf("Open with encrypt_type=aes: got %v, want errPush", err)
	}
	query.Set("signature", strings.Repeat("0", 40))
	if _, err := p.Open(query, []byte("{}")); !errors.Is(err, errSignature) {
		t.Errorf("Open with another signature: got %v, want errSignature", err)
	}
}

func TestEchoAnswersOnlyWeChat(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*Push{"plain": newTestPush(t, pushAppID, ""), "sealed": newTestPush(t, pushAppID, pushKey)} {
		query := p.Query(time.Unix(1_800_000_000, 0))
		for echo, want := range map[string]error{"4375120948345356249": nil, "": errPush, "<script>alert(1) </script>": errPush, "a\r\nb": errPush, strings.Repeat("1", 129): errPush} {
			query.Set("echostr", echo)
			if got, err := p.Echo(query); !errors.Is(err, want) || (err == nil && got != echo) {
				t.Errorf("%s mode, Echo(%q): got %q and %v, want %v", name, echo, got, err, want)
			}
		}
		query.Set("echostr", "1")
		query.Set("nonce", "1")
		if got, err := p.Echo(query); !errors.Is(err, errSignature) || got != "" {
			t.Errorf("%s mode, Echo with another nonce: got %q and %v, want errSignature", name, got, err)
		}
	}
}

func TestAnEncodingAESKeyIs43LettersAndDigits(t *testing.T) {
	t.Parallel()
	for key, good := range map[string]bool{
		pushKey: true, pushKey[:42] + "H": true, // two bits of the last character mean nothing, and are random in real keys
		pushKey[:42]: false, pushKey + "=": false, pushKey[:42] + "-": false, pushKey[:42] + "/": false, pushKey[:42] + "é": false,
	} {
		if _, err := NewPush(pushAppID, pushToken, secret.Text(key)); (err == nil) != good || (err != nil && strings.Contains(err.Error(), key)) {
			t.Errorf("NewPush with the key %s: got %v, want good %t", key, err, good)
		}
	}
	for _, row := range [][2]string{{"", pushToken}, {pushAppID, ""}} {
		if _, err := NewPush(row[0], secret.Text(row[1]), ""); err == nil {
			t.Errorf("NewPush(%q, %q): got no error, want one", row[0], row[1])
		}
	}
}

func TestAPrintedPushShowsNothing(t *testing.T) {
	t.Parallel()
	p := newTestPush(t, pushAppID, pushKey)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb+verb+verb, p, *p, Message{Body: []byte("hello")}); strings.Contains(got, pushToken) || strings.Contains(got, "hello") || strings.Contains(got, "104 97") {
			t.Errorf("Sprintf(%q): got %s, want nothing of it", verb, got)
		}
	}
}

func FuzzPush(f *testing.F) {
	sealed, _ := NewPush(pushAppID, pushToken, pushKey)
	plain, _ := NewPush(pushAppID, pushToken, "")
	f.Add(vectorQuery().Encode(), []byte(`{"Encrypt":"`+pushSealed+`"}`), pushSealed)
	f.Add(vectorQuery().Encode(), []byte("<xml><Encrypt><![CDATA["+pushSealed+"]]></Encrypt></xml>"), "")
	f.Add("signature=a&timestamp=1&nonce=2&echostr=3", []byte(`{"a":1}`), "AAAA")
	f.Fuzz(func(t *testing.T, rawQuery string, body []byte, encrypt string) {
		query, _ := url.ParseQuery(rawQuery)
		for _, p := range []*Push{sealed, plain} {
			got, err := p.Open(query, body)
			if (err == nil) != (got.Body != nil) || (err != nil && !errors.Is(err, errSignature) && !errors.Is(err, errPush)) {
				t.Errorf("Open(%q, %q): got %q and %v, want either", rawQuery, body, got.Body, err)
			}
			if echo, err := p.Echo(query); err == nil && !visibleASCII(echo) {
				t.Errorf("Echo(%q): got %q, want visible ASCII", rawQuery, echo)
			}
		}
		// What is behind the signature, which the fuzzer cannot forge.
		if message, err := unseal(*sealed.key, encrypt, pushAppID); err == nil && len(message) > len(encrypt) {
			t.Errorf("unseal(%q): got %d bytes", encrypt, len(message))
		}
		if text, err := envelope(body); err == nil && len(text) > len(body) {
			t.Errorf("envelope(%q): got %q", body, text)
		}
		_, _ = messageOf(body)
		again, err := seal(*sealed.key, make([]byte, 16), body, pushAppID)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := unseal(*sealed.key, again, pushAppID); err != nil || !bytes.Equal(back, body) {
			t.Errorf("unseal of a sealed %q: got %q and %v", body, back, err)
		}
	})
}

func TestASignatureIsJudgedBeforeAnythingIsParsed(t *testing.T) {
	t.Parallel()
	broken := []byte(`{"Encrypt":"` + pushSealed + `",` + strings.Repeat(`{"a":[`, 10_000))
	sealed := newTestPush(t, pushAppID, pushKey)
	if _, err := sealed.Open(vectorQuery("msg_signature", strings.Repeat("0", 40)), broken); !errors.Is(err, errSignature) {
		t.Errorf("broken JSON with a forged signature: %v, want errSignature", err)
	}
	if _, err := sealed.Open(vectorQuery(), broken); !errors.Is(err, errPush) {
		t.Errorf("broken JSON with a signature that fits: %v, want errPush", err)
	}
	if err := sealed.Check(vectorQuery("msg_signature", "")); !errors.Is(err, errSignature) {
		t.Errorf("a query without a signature: %v, want errSignature", err)
	}
	plain := newTestPush(t, pushAppID, "")
	query := plain.Query(time.Unix(1409735669, 0))
	if err := plain.Check(query); err != nil {
		t.Errorf("a plain push: %v", err)
	}
	query.Set("nonce", "1")
	if err := plain.Check(query); !errors.Is(err, errSignature) {
		t.Errorf("a plain push with another nonce: %v, want errSignature", err)
	}
}
