package authn

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" // the signature of WeChat is SHA-1
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/storage"
)

// sealFor encrypts as WeChat does, with a session_key.
func sealFor(t *testing.T, sessionKey, plain string) Encrypted {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(sessionKey)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	iv := []byte("0123456789abcdef")
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	data := []byte(plain)
	for range pad {
		data = append(data, byte(pad))
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return Encrypted{Data: base64.StdEncoding.EncodeToString(data), IV: base64.StdEncoding.EncodeToString(iv)}
}

func watermarked(body string) string {
	return fmt.Sprintf(`{%s"watermark":{"timestamp":1477314187,"appid":%q}}`, body, testAppID)
}

func (f *fixture) keyOf(t *testing.T, userID int64) string {
	t.Helper()
	keys, err := f.store.SessionKeys(t.Context(), userID)
	if err != nil || len(keys) == 0 {
		t.Fatalf("no session_key: %v", err)
	}
	return keys[0].Key
}

func TestDataOpensWithTheLastThreeSessionKeysAndNoOlderOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var sealed []Encrypted
	var subject Subject
	for i := range 4 {
		subject = f.subjectOf(t, f.loginAs(t, "alice").Token)
		sealed = append(sealed, sealFor(t, f.keyOf(t, 1), watermarked(fmt.Sprintf(`"n":%d,`, i))))
		f.clock.move(1e9)
	}
	for i, e := range sealed {
		opened, err := f.OpenData.Decrypt(t.Context(), subject, e)
		if i == 0 {
			if !errors.Is(err, ErrSessionKeyStale) {
				t.Errorf("data of four logins ago: %s, %v; want %v", opened, err, ErrSessionKeyStale)
			}
		} else if err != nil {
			t.Errorf("data of login %d of 4: %v", i+1, err)
		}
	}
}

func TestDataThatIsNotOfThisUserIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	subject := f.subjectOf(t, f.loginAs(t, "alice").Token)
	key := f.keyOf(t, 1)
	good := sealFor(t, key, watermarked(fmt.Sprintf(`"openId":%q,`, subject.OpenID)))
	if _, err := f.OpenData.Decrypt(t.Context(), subject, good); err != nil {
		t.Fatal(err)
	}
	raw := `{"nickName":"小爱"}`
	sum := sha1.Sum([]byte(raw + key))
	signature, wrong := hex.EncodeToString(sum[:]), hex.EncodeToString(make([]byte, 20))
	signed, forged := good, good
	signed.RawData, signed.Signature = &raw, &signature
	forged.RawData, forged.Signature = &raw, &wrong
	if _, err := f.OpenData.Decrypt(t.Context(), subject, signed); err != nil {
		t.Errorf("with its signature: %v", err)
	}
	for name, c := range map[string]struct {
		data Encrypted
		want error
	}{
		"somebody else's openId":     {sealFor(t, key, watermarked(`"openId":"oOther",`)), ErrNotOpened},
		"another openId in capitals": {sealFor(t, key, watermarked(fmt.Sprintf(`"OPENID":"oOther","openId":%q,`, subject.OpenID))), ErrNotOpened},
		"an openId that is no text":  {sealFor(t, key, watermarked(`"openId":7,`)), ErrNotOpened},
		"another appid":              {sealFor(t, key, `{"watermark":{"timestamp":1,"appid":"wx9"}}`), ErrNotOpened},
		"no watermark":               {sealFor(t, key, `{"a":1}`), ErrNotOpened},
		"no JSON":                    {sealFor(t, key, `hello`), ErrNotOpened},
		"an iv of 3 bytes":           {Encrypted{Data: good.Data, IV: "AAAA"}, ErrInvalidRequest},
		"17 bytes of ciphertext":     {Encrypted{Data: base64.StdEncoding.EncodeToString(make([]byte, 17)), IV: good.IV}, ErrInvalidRequest},
		"a signature that is wrong":  {forged, ErrNotOpened},
		"a signature without data":   {Encrypted{Data: good.Data, IV: good.IV, Signature: &signature}, ErrInvalidRequest},
		"nothing":                    {Encrypted{}, ErrInvalidRequest},
	} {
		if opened, err := f.OpenData.Decrypt(t.Context(), subject, c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %s, %v; want %v", name, opened, err, c.want)
		}
	}
}

// sealedPhone is the phone data of a getPhoneNumber button pressed at a time.
func (f *fixture) sealedPhone(t *testing.T, at time.Time, members string) PhoneRequest {
	t.Helper()
	mark := fmt.Sprintf(`{%s,"watermark":{"timestamp":%d,"appid":%q}}`, members, at.Unix(), testAppID)
	return PhoneRequest{Encrypted: sealFor(t, f.keyOf(t, 1), mark), ByDecryption: true}
}

func TestAPhoneNumberIsSealedAndReturnedToItsOwner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	subject := f.subjectOf(t, f.loginAs(t, "alice").Token)
	old := f.sealedPhone(t, f.clock.Now(), `"phoneNumber":"13580006666","purePhoneNumber":"13580006666","countryCode":86`)
	phone, err := f.OpenData.Phone(t.Context(), subject, old)
	want := storage.Phone{Number: "13580006666", PureNumber: "13580006666", CountryCode: "86"}
	if err != nil || phone != want {
		t.Errorf("got %+v, %v; want %+v", phone, err, want)
	}
	if stored, err := f.store.Phone(t.Context(), 1); err != nil || stored != want {
		t.Errorf("stored is %+v, %v", stored, err)
	}
	if _, err := f.OpenData.Phone(t.Context(), subject, PhoneRequest{Code: "x&y"}); !errors.Is(err, ErrInvalidRequest) {
		t.Errorf("a code that is none: %v", err)
	}
}

func TestADecryptedPhoneNumberIsReadStrictly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	subject := f.subjectOf(t, f.loginAs(t, "alice").Token)
	now := f.clock.Now()
	number := func(full, pure, code string) string {
		return fmt.Sprintf(`"phoneNumber":%q,"purePhoneNumber":%q,"countryCode":%q`, full, pure, code)
	}
	home := number("13580006666", "13580006666", "86")
	for name, c := range map[string]struct {
		members string
		at      time.Time
		want    error
	}{
		"as WeChat seals it":          {home, now, nil},
		"with the country code":       {number("+8613580006666", "13580006666", "86"), now, nil},
		"of Hong Kong":                {number("+852-61234567", "61234567", "852"), now, nil},
		"with a member besides":       {home + `,"extra":{"a":[1]}`, now, nil},
		"nine minutes old":            {home, now.Add(-9 * time.Minute), nil},
		"eleven minutes old":          {home, now.Add(-11 * time.Minute), ErrNotOpened},
		"eleven minutes from now":     {home, now.Add(11 * time.Minute), ErrNotOpened},
		"of two numbers":              {number("13580006666", "13911112222", "86"), now, ErrNotOpened},
		"of another country":          {number("61234567", "61234567", "852"), now, ErrNotOpened},
		"with a member twice":         {`"phoneNumber":"13911112222",` + home, now, ErrNotOpened},
		"with a member in capitals":   {strings.Replace(home, "phoneNumber", "PHONENUMBER", 1), now, ErrNotOpened},
		"the forged one of the probe": {`"phoneNumber":"13911112222"`, now, ErrNotOpened},
		"steps":                       {`"stepInfoList":[]`, now, ErrNotOpened},
	} {
		if _, err := f.OpenData.Phone(t.Context(), subject, f.sealedPhone(t, c.at, c.members)); !errors.Is(err, c.want) {
			t.Errorf("a number %s: %v, want %v", name, err, c.want)
		}
	}
}

func TestACloudIdentityIsBelievedForOurMiniProgramOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := CloudIdentity{AppID: testAppID, OpenID: "oCloud", UnionID: "u1"}
	if _, err := f.CloudSubject(t.Context(), id); !errors.Is(err, token.ErrMissing) {
		t.Errorf("before the first login: %v, want %v", err, token.ErrMissing)
	}
	grant, err := f.CloudLogin(t.Context(), id, Login{})
	if err != nil {
		t.Fatal(err)
	}
	f.wantVerdict(t, "the token of a cloud login", grant.Token, nil)
	if s, err := f.CloudSubject(t.Context(), id); err != nil || s.UserID != grant.User.ID {
		t.Errorf("after it: %+v, %v", s, err)
	}
	for name, other := range map[string]CloudIdentity{
		"another mini-program": {AppID: "wx9", OpenID: "oCloud"},
		"no openid":            {AppID: testAppID},
		"a broken openid":      {AppID: testAppID, OpenID: "o\r\nX: 1"},
	} {
		if _, err := f.CloudLogin(t.Context(), other, Login{}); !errors.Is(err, ErrCloudIdentity) {
			t.Errorf("%s: %v, want %v", name, err, ErrCloudIdentity)
		}
	}
	if err := f.Users.Ban(t.Context(), grant.User.ID, f.clock.Now().Add(1e12)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CloudSubject(t.Context(), id); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("banned: %v, want %v", err, token.ErrRevoked)
	}
}

func TestTwoMiniProgramsHaveTheirOwnUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	same := func(string, int) (wechat.Session, error) {
		return wechat.Session{OpenID: "oSame", SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="}, nil
	}
	f.apps = newApps(Deps{Apps: map[string]WeChat{"wx1": &scriptedWeChat{answer: same}, "wx2": &scriptedWeChat{answer: same}}, Budget: 3e9, Now: f.clock.Now}, f.metrics)
	one, err := f.Login(t.Context(), Login{AppID: "wx1", Code: "a"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := f.Login(t.Context(), Login{AppID: "wx2", Code: "a"})
	if err != nil || one.User.ID == two.User.ID {
		t.Errorf("users %d and %d, %v; want two", one.User.ID, two.User.ID, err)
	}
	for _, appID := range []string{"", "wx3"} {
		if _, err := f.Login(t.Context(), Login{AppID: appID, Code: "b"}); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("app %q: %v, want %v", appID, err, ErrInvalidRequest)
		}
	}
}
