package pay

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"wxgate/message"
)

// The vector of pay.weixin.qq.com/doc/v3/merchant/4013053420: an answer of WeChat Pay, which is signed as notifications are.
const (
	vectorBody      = `{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz1"}`
	vectorTimestamp = 1722850421
	vectorNonce     = "d824f2e086d3c1df967785d13fcd22ef"
	vectorSignature = "mfI1CPqvBrgcXfgXMFjdNIhBf27ACE2YyeWsWV9ZI7T7RU0vHvbQpu9Z32ogzc+k8ZC5n3kz7h70eWKjgqNdKQF0eRp8mVKlmfzMLBVHbssB9jEZEDXThOX1XFqX7s7ymia1hoHQxQagPGzkdWxtlZPZ4ZPvr1RiqkgAu6Is8MZgXXrRoBKqjmSdrP1N7uxzJ/cjfSiis9FiLjuADoqmQ1P7p2N876YPAol7Rn0+GswwAwxldbdLrmVSjfytfSBJFqTMHn4itojgxSWWN1byuckQt8hSTEv/Lg97QoeGniYP17T80pJeQyL3b+295FPHSO2AtvCgyIbKMZ0BALilAA=="
	vectorKey       = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwXNI6sdlknHBnK8Fu2U6Cwor9qY747jP8KAfeBMeveEt1TqaHkLfaSD07trZLhGpfs8/AHqjhgSMO1O10YQWOrrJ4hjIWPKqxbgrYMkBQc+mwdiWp4W3ByCqxBRagCveCXRWCmuJYovl9H/bsDI0iGbpVtEOghJtfciisYSgxcLufUDTRkvwxjIBK1pCRjk33jJ5YTBWTHMRtMAOcFLNF6hdEYdX8SPsgHHeLZ5Lv2T/686w1xtgCHef/sd4uSfWmyzsalQdHG/e4IyYmrhx+O3VBoNDzE3nx23bFeV/RVNCG7cV6VhmYokJNHa/erIPkEmEFID6A5wQOXuxUkmJWwIDAQAB"
	vectorSerial    = "PUB_KEY_ID_0000000000000024101100397200000006"
)

// write writes a file of a test, and returns its name.
func write(t testing.TB, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// open returns the merchant of a configuration, which must be valid.
func open(t testing.TB, cfg Config) *Merchant {
	t.Helper()
	if faults := cfg.Validate(); len(faults) > 0 {
		t.Fatal(faults)
	}
	keys, faults := cfg.Load()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	m, err := NewMerchant(cfg, keys)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheOfficialSignatureIsVerified(t *testing.T) {
	t.Parallel()
	der, err := base64.StdEncoding.DecodeString(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "pub_key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	m := open(t, Config{MchID: "1900000001", APIv3Key: "0123456789abcdefghijABCDEFGHIJ!#", PublicKeys: []PublicKey{{vectorSerial, file}}})
	var fields message.Fields
	for name, value := range map[string]string{
		"wechatpay-timestamp": "1722850421", "Wechatpay-Nonce": vectorNonce, "Wechatpay-Signature": vectorSignature,
		"WECHATPAY-SERIAL": vectorSerial, "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
	} {
		fields.Add(name, value)
	}
	s, err := m.readSignature(&fields, time.Unix(vectorTimestamp, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.verify([]byte(vectorBody)); err != nil {
		t.Errorf("the official vector: %v", err)
	}
	for _, body := range []string{"", vectorBody + "\n", vectorBody[1:], `{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz2"}`} {
		if s.verify([]byte(body)) == nil {
			t.Errorf("%q was not signed, and passes", body)
		}
	}
}

// TestTheSealOfTheOfficialSDKIsOpened has the vector of wechatpay-apiv3/wechatpay-java.
func TestTheSealOfTheOfficialSDKIsOpened(t *testing.T) {
	t.Parallel()
	m, err := NewMerchant(Config{APIv3Key: "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := m.unseal([]byte(`{"algorithm":"AEAD_AES_256_GCM","ciphertext":"ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=","associated_data":"associatedData","nonce":"uluk4a9R25RW"}`))
	if err != nil || string(plain) != "message" {
		t.Errorf("got %q and %v, want message", plain, err)
	}
	for name, sealed := range map[string]string{
		"other data":    `{"algorithm":"AEAD_AES_256_GCM","ciphertext":"ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=","associated_data":"","nonce":"uluk4a9R25RW"}`,
		"no data":       `{"algorithm":"AEAD_AES_256_GCM","ciphertext":"ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=","nonce":"uluk4a9R25RW"}`,
		"a short nonce": `{"algorithm":"AEAD_AES_256_GCM","ciphertext":"ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=","associated_data":"associatedData","nonce":"u"}`,
		"another way":   `{"algorithm":"AEAD_SM4_GCM","ciphertext":"ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=","associated_data":"associatedData","nonce":"uluk4a9R25RW"}`,
		"no text":       `{"algorithm":"AEAD_AES_256_GCM","ciphertext":"","associated_data":"associatedData","nonce":"uluk4a9R25RW"}`,
		"no base64":     `{"algorithm":"AEAD_AES_256_GCM","ciphertext":"?","associated_data":"associatedData","nonce":"uluk4a9R25RW"}`,
		"a list":        `[]`, "null": `null`, "nothing": ``,
	} {
		if _, err := m.unseal([]byte(sealed)); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// TestTheNotificationOfTheOfficialSDKIsOpened has the vector of wechatpay-apiv3/wechatpay-go. Its APIv3 key has 16 bytes, which
// a configuration is refused for.
func TestTheNotificationOfTheOfficialSDKIsOpened(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/payscore.json")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != "b6fdfc5e4afdc463950d873c4fdc3c494df05965016225c6a1e8e2e887cdc94d" {
		t.Fatalf("testdata/payscore.json has changed: %x", sum)
	}
	cfg := Config{MchID: "1234567890", APIv3Key: "testMchAPIv3Key0", Certificates: []string{"testdata/payscore.pem"}}
	if faults := cfg.Validate(); len(faults) != 1 || faults[0].Path != "apiv3_key" {
		t.Errorf("a key of 16 bytes: %v", faults)
	}
	keys, faults := cfg.Load()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	m, err := NewMerchant(cfg, keys)
	if err != nil {
		t.Fatal(err)
	}
	var fields message.Fields
	fields.Add("Wechatpay-Nonce", "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz")
	fields.Add("Wechatpay-Timestamp", "1624523846")
	fields.Add("Wechatpay-Serial", "D7CE59D1F522D701")
	fields.Add("Wechatpay-Signature", "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ90GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q==")
	s, err := m.readSignature(&fields, time.Unix(1624523846, 0).Add(4*time.Minute))
	if err == nil {
		err = s.verify(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, err := m.open(body)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"mchid":"1234567890","appid":"054aa7d7a2a54ab5898df65bd96f001c","create_time":"2020-06-30T12:12:00+08:00","out_contract_code":"21640bdbd08e473e828f3206a2741c6e"}`
	var got struct {
		ID       string          `json:"id"`
		Summary  string          `json:"summary"`
		Resource json.RawMessage `json:"resource"`
	}
	if err := json.Unmarshal(n.content, &got); err != nil || string(got.Resource) != want || got.Summary != "签约成功" || got.ID != "3119dfba-e649-5eec-ab1e-3412bc4d2e17" {
		t.Errorf("%v, got %s\nwant the resource %s", err, n.content, want)
	}
	if n.key != digest("id", got.ID) || n.appID != "054aa7d7a2a54ab5898df65bd96f001c" {
		t.Errorf("got the key %s and the appid %s", n.key, n.appID)
	}
}

// FuzzOpen feeds bodies to what reads them behind the signature.
func FuzzOpen(f *testing.F) {
	const key = "0123456789abcdefghijABCDEFGHIJ!#"
	m, err := NewMerchant(Config{MchID: "1900000001", APIv3Key: key}, nil)
	if err != nil {
		f.Fatal(err)
	}
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		f.Fatal(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"mchid":"1900000001","out_trade_no":"1","trade_state":"SUCCESS","amount":{"total":10000000000000000000001}}`), []byte(`{"id":"1","event_type":"TRANSACTION.SUCCESS","resource":`), []byte(`}`))
	f.Add([]byte(`{"sp_mchid":"1","sub_mchid":"1900000001","out_refund_no":"1","refund_status":"SUCCESS"}`), []byte(`{"id":"1","event_type":"REFUND.SUCCESS","id":"2","resource":`), []byte(`,"a":1.0}`))
	f.Add([]byte(`{"action":"CheckContainerPath"}`), []byte(`[`), []byte(`]`))
	f.Add([]byte(`{"mchId":"1900000001"}`), []byte(`{`), []byte("}}"))
	f.Fuzz(func(t *testing.T, plain, before, after []byte) {
		sealed, _ := json.Marshal(map[string]string{
			"algorithm": "AEAD_AES_256_GCM", "nonce": "123456789012", "ciphertext": base64.StdEncoding.EncodeToString(seal.Seal(nil, []byte("123456789012"), plain, nil)),
		})
		for _, open := range []func() (Notification, error){
			func() (Notification, error) { return m.open(append(append(bytes.Clone(before), sealed...), after...)) },
			func() (Notification, error) { return m.open(plain) },
			func() (Notification, error) { return m.openUnsigned(plain) },
		} {
			n, err := open()
			if err != nil {
				continue
			}
			if !json.Valid(n.content) || n.key == "" && !n.trial {
				t.Errorf("%q, %q, %q became %q with the key %q", plain, before, after, n.content, n.key)
			}
		}
	})
}
