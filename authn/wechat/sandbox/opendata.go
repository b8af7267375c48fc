package sandbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// encryptedTTL is how long checkencryptedmsg remembers (page "checkEncryptedData").
const encryptedTTL = 3 * 24 * time.Hour

// OpenData is what a mini-program gets from an open-data button.
type OpenData struct {
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
	RawData       string `json:"rawData"`   // the object without openId, unionId and watermark
	Signature     string `json:"signature"` // sha1(rawData + session_key)
}

// encrypt encrypts object with a watermark of this mini-program under the session_key of person's last login.
func (b *backend) encrypt(person string, object map[string]any) (OpenData, error) {
	key := b.keys.of(person)
	if key == "" {
		return OpenData{}, fmt.Errorf("sandbox: %s has no session_key: log in first", person)
	}
	marked := map[string]any{}
	maps.Copy(marked, object)
	marked["watermark"] = b.watermark()
	text, err := json.Marshal(marked)
	if err != nil {
		return OpenData{}, fmt.Errorf("sandbox: encoding the object: %w", err)
	}
	data := encrypt(key, text)
	if _, phone := object["phoneNumber"]; phone {
		b.sealed.add(data.EncryptedData, b.clock.now())
	}
	data.RawData, err = rawData(object)
	data.Signature = wechat.Signature(data.RawData, key)
	return data, err
}

// object returns what a button of that kind would encrypt for person; nil is another kind.
func (b *backend) object(kind, person string) map[string]any {
	switch kind {
	case "phone":
		return phoneInfo(person)
	case "werun":
		return b.steps()
	case "share":
		return map[string]any{"openGId": "tG" + digest("group", person)[:26]}
	case "userinfo":
		return b.userInfo(person)
	}
	return nil
}

// steps are those of the last 31 days.
func (b *backend) steps() map[string]any {
	today := b.clock.now().Truncate(24 * time.Hour)
	var list []map[string]any
	for day := 30; day >= 0; day-- {
		list = append(list, map[string]any{"timestamp": today.AddDate(0, 0, -day).Unix(), "step": 10_000 - 100*day})
	}
	return map[string]any{"stepInfoList": list}
}

func (b *backend) userInfo(person string) map[string]any {
	info := map[string]any{
		"openId": openID(b.cfg.AppID, person), "nickName": person, "gender": 0, "language": "zh_CN",
		"city": "", "province": "", "country": "", "avatarUrl": "https://thirdwx.qlogo.cn/mmopen/vi_32/sandbox/132",
	}
	if b.cfg.OpenPlatform {
		info["unionId"] = unionID(person)
	}
	return info
}

func (b *backend) watermark() map[string]any {
	return map[string]any{"timestamp": b.clock.now().Unix(), "appid": b.cfg.AppID}
}

func rawData(object map[string]any) (string, error) {
	raw := maps.Clone(object)
	for _, hidden := range []string{"openId", "unionId", "watermark"} {
		delete(raw, hidden)
	}
	text, err := json.Marshal(raw)
	return string(text), err
}

// encrypt is AES-128-CBC with PKCS#7 under a key that newSessionKey made.
func encrypt(sessionKey string, text []byte) OpenData {
	key, _ := base64.StdEncoding.DecodeString(sessionKey)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("sandbox: a session_key of its own is not 16 bytes")
	}
	var iv [aes.BlockSize]byte
	_, _ = rand.Read(iv[:]) // never fails
	n := aes.BlockSize - len(text)%aes.BlockSize
	text = append(text, bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv[:]).CryptBlocks(text, text)
	return OpenData{EncryptedData: base64.StdEncoding.EncodeToString(text), IV: base64.StdEncoding.EncodeToString(iv[:])}
}

// hashes remembers which phone data was made here.
type hashes struct {
	mu   sync.Mutex
	made map[string]time.Time
}

func (h *hashes) add(encryptedData string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := sha256.Sum256([]byte(encryptedData))
	h.made[hex.EncodeToString(sum[:])] = at
}

func (h *hashes) find(sum string) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.made[sum]
	return at, ok
}

// checkEncrypted is the page "checkEncryptedData"; vaild is how WeChat spells it.
func (a *api) checkEncrypted(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Hash string `json:"encrypted_msg_hash"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		writeError(w, wechat.ErrCodeMalformedBody, false)
		return
	}
	if len(body.Hash) != sha256.Size*2 {
		writeError(w, wechat.ErrCodeInvalidParameter, false)
		return
	}
	b := a.backend()
	at, ok := b.sealed.find(body.Hash)
	if !ok || b.clock.now().Sub(at) > encryptedTTL {
		write(w, map[string]any{"errcode": 1, "errmsg": "data not exit", "vaild": false})
		return
	}
	writeOK(w, map[string]any{"vaild": true, "create_time": at.Unix()})
}

// PhoneNumber returns the number of person: eleven digits, the same every time, and nobody's: 100… is no mobile prefix.
func PhoneNumber(person string) string {
	return fmt.Sprintf("100%08d", binary.BigEndian.Uint32([]byte(digest("phone", person)))%100_000_000)
}

// phoneInfo is the number of person as WeChat writes it, but for the watermark.
func phoneInfo(person string) map[string]any {
	number := PhoneNumber(person)
	return map[string]any{"phoneNumber": number, "purePhoneNumber": number, "countryCode": "86"}
}

// phoneNumber is the page "getPhoneNumber". A code that was spent is invalid there, not used, and one of another openid is
// an invalid openid and stays good.
func (a *api) phoneNumber(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Code   string `json:"code"`
		OpenID string `json:"openid"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		writeError(w, wechat.ErrCodeMalformedBody, false)
		return
	}
	b, script := a.backend(), parseScript(body.Code)
	person, errcode := "", wechat.ErrCodeInvalidOpenID
	if b.mayUse(body.Code, script, body.OpenID) {
		person, errcode = spendPhone(b.phones, body.Code, script)
	}
	if !a.wait(r, script.delay) {
		b.phones.lose(body.Code)
		return
	}
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	info := phoneInfo(person)
	info["watermark"] = b.watermark()
	writeOK(w, map[string]any{"phone_info": info})
}

// mayUse reports whether the code is of this openid's button. Whoever sends no openid may use every code.
func (b *backend) mayUse(code string, script script, openid string) bool {
	person := or(script.person, b.phones.owner(code))
	return openid == "" || person == "" || openid == openID(b.cfg.AppID, person)
}

func spendPhone(l *ledger, code string, script script) (person string, errcode int) {
	switch {
	case script.errcode != wechat.CodeOK:
		return "", script.errcode
	case script.broken != "":
		return "", wechat.ErrCodeInvalidCode
	}
	person, errcode = spend(l, code, script)
	if errcode != wechat.CodeOK {
		return "", wechat.ErrCodeInvalidCode
	}
	return person, wechat.CodeOK
}
