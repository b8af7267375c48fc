package wechat_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"wxgate/authn/wechat"
)

// The official vector of the page "开放数据校验与解密", for the appid of these tests.
const (
	vectorKey  = "tiihtNczf5v6AKRyjwEUhQ=="
	vectorIV   = "r7BXXKkLb8qrSNn05n0qiA=="
	vectorData = "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5geRa0W4oTOb1WT7fJlAC+oNPdbB+3hVbJSRgv+4lGOETKUQz6OYStslQ142dNCuabNPGBzlooOmB231qMM85d2/fV6ChevvXvQP8Hkue1poOFtnEtpyxVLW1zAo6/1Xx1COxFvrc2d7UL/lmHInNlxuacJXwu0fjpXfz/YqYzBIBzD6WUfTIF9GRHpOn/Hz7saL8xz+W//FRAUid1OksQaQx4CMs8LOddcQhULW4ucetDf96JcR3g0gfRK4PC7E/r7Z6xNrXd2UIeorGj5Ef7b1pJAYB6Y5anaHqZ9J6nKEBvB4DnNLIVWSgARns/8wR2SiRS7MNACwTyrGvt9ts8p12PKFdlqYTopNHR1Vf7XjfhQlVsAJdNiKdYmYVoKlaRv85IfVunYzO0IKXsyl7JCUjCpoG20f0a04COwfneQAGGwd5oa+T8yO5hzuyDb/XcxxmK01EpqOyuxINew=="
	vectorSum  = "3237d8a5dbd413523c194882c7156544d8a06e2afcc97383cc300c17bd09391b"
	watermark  = `"watermark":{"timestamp":1477314187,"appid":"` + appID + `"}`
)

func TestDecryptOpensTheOfficialVector(t *testing.T) {
	t.Parallel()
	got, err := wechat.Decrypt(vectorKey, vectorIV, vectorData, appID)
	sum := sha256.Sum256(got)
	if err != nil || len(got) != 393 || hex.EncodeToString(sum[:]) != vectorSum {
		t.Errorf("Decrypt: got %d bytes of sha256 %x and %v, want 393 of %s", len(got), sum, err, vectorSum)
	}
}

func TestDecryptOpensPhoneStepsAndShare(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ want, data string }{
		{
			`{"phoneNumber":"13580006666","purePhoneNumber":"13580006666","countryCode":"86",` + watermark + `}`,
			"xT8p8W6jIVdEWQ+ccHuD2bmG5RSiwg14VWRFw/UGVh6Aj+jDIadafJ4xdCIBQ/uxDiyw/MZWvpFyRn3pP3xxVfNQxFtzghvK+Pj5JQI7x412Zc+UKBdZyt5yiQboroSxabTum1k4MMOlnoCxhJ46cxPDT2EuLbNUf2McwNtGO0/9E+Xj/ZwENw48ucueL3UqNoKpXxFYvqH6eawrR2MXnA==",
		},
		{
			`{"stepInfoList":[{"timestamp":1445866601,"step":100},{"timestamp":1445876601,"step":120}],` + watermark + `}`,
			"XoLUxF76jN/OsfTGUqF/ZqRn+2PtO66lAMg/g0D3bg1L2/Nds8gTQrH7fGmbTgGtUC2R9lbJh7fLEaO9boeCqru1Em2BD/IbfN6lI/nu55iYlOdvBG/PicU8pMeVU32B3O68Ot2mP0ivKxccJMLOPL06Lt1z+Cd2wKlJ6WhdDjszfUo7lbbI4lxqW0w5dd2MEJdcEjHsflH8uLO8hrRUkw==",
		},
		{
			`{"openGId":"OPENGID",` + watermark + `}`,
			"64/XUGuykfSLkUOGlL/eXBVfGsmKVlgxVIYZ0kz13nqPwMSUmOTSdxXq0nCQbHX9R4zL22AxjosCGMjLqJpXn7UPlmmDvdQGtHPw6Uz4fP3RoMpUx467YGvdjjkYNM4l",
		},
	} {
		if got, err := wechat.Decrypt(vectorKey, vectorIV, row.data, appID); err != nil || string(got) != row.want {
			t.Errorf("Decrypt(%s…): got %s and %v, want %s", row.data[:16], got, err, row.want)
		}
	}
}

func TestDecryptTellsAMalformedInputFromAKeyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	const foreign = "64/XUGuykfSLkUOGlL/eXBVfGsmKVlgxVIYZ0kz13nqPwMSUmOTSdxXq0nCQbHX9R4zL22AxjosCGMjLqJpXn+Uyi0BzpxRtNLtHnC8xDHxwhnL0dxm4MD8VpJ3U7XgR"
	const unmarked = "64/XUGuykfSLkUOGlL/eXAv/6oGeq/qS7yJTZEcc1wM="
	for _, row := range []struct {
		name               string
		key, iv, data, app string
		want               error
	}{
		{"iv of 3 bytes", vectorKey, "AAAA", vectorData, appID, wechat.ErrMalformed},
		{"no iv", vectorKey, "", vectorData, appID, wechat.ErrMalformed},
		{"iv not base64", vectorKey, "r7BXXKkLb8qrSNn05n0qi!==", vectorData, appID, wechat.ErrMalformed},
		{"iv without padding", vectorKey, strings.TrimRight(vectorIV, "="), vectorData, appID, wechat.ErrMalformed},
		{"iv with a line break", vectorKey, vectorIV + "\n", vectorData, appID, wechat.ErrMalformed},
		{"data of 17 bytes", vectorKey, vectorIV, encode(17), appID, wechat.ErrMalformed},
		{"data of 33 bytes", vectorKey, vectorIV, encode(33), appID, wechat.ErrMalformed},
		{"no data", vectorKey, vectorIV, "", appID, wechat.ErrMalformed},
		{"+ became a space", vectorKey, vectorIV, strings.ReplaceAll(vectorData, "+", " "), appID, wechat.ErrMalformed},
		{"no key", "", vectorIV, vectorData, appID, wechat.ErrDecrypt},
		{"key of 5 bytes", encode(5), vectorIV, vectorData, appID, wechat.ErrDecrypt},
		{"key of 32 bytes", encode(32), vectorIV, vectorData, appID, wechat.ErrDecrypt},
		{"another key", "7MG7jbTToVVRWRXVA885rg==", "TarMFjnzHVxy8pdS93wQbw==", vectorData, appID, wechat.ErrDecrypt},
		{"data cut by a block", vectorKey, vectorIV, vectorData[:512], appID, wechat.ErrDecrypt},
		{"another mini-program", vectorKey, vectorIV, vectorData, "wx0000000000000000", wechat.ErrDecrypt},
		{"foreign watermark", vectorKey, vectorIV, foreign, appID, wechat.ErrDecrypt},
		{"no watermark", vectorKey, vectorIV, unmarked, appID, wechat.ErrDecrypt},
		{"no watermark, no appid", vectorKey, vectorIV, unmarked, "", wechat.ErrDecrypt},
	} {
		if got, err := wechat.Decrypt(row.key, row.iv, row.data, row.app); !errors.Is(err, row.want) || got != nil {
			t.Errorf("Decrypt, %s: got %s and %v, want %v", row.name, got, err, row.want)
		}
	}
}

func TestDecryptRefusesEveryPaddingButPKCS7(t *testing.T) {
	t.Parallel()
	object := []byte(`{"a":1,` + watermark + `}`)
	for _, row := range []struct {
		name   string
		padded []byte
		want   error
	}{
		{"right", pad(object), nil},
		{"a whole block", pad(append(bytes.Repeat([]byte(" "), 16-len(object)%16), object...)), nil},
		{"zero", append(fill(object, 1), 0), wechat.ErrDecrypt},
		{"17", append(fill(object, 17), bytes.Repeat([]byte{17}, 17)...), wechat.ErrDecrypt},
		{"32, as in message push", append(fill(object, 32), bytes.Repeat([]byte{32}, 32)...), wechat.ErrDecrypt},
		{"uneven", append(fill(object, 3), 9, 3, 3), wechat.ErrDecrypt},
		{"255", append(fill(object, 1), 255), wechat.ErrDecrypt},
	} {
		_, err := wechat.Decrypt(vectorKey, vectorIV, encrypt(t, row.padded), appID)
		if !errors.Is(err, row.want) {
			t.Errorf("padding %s: got %v, want %v", row.name, err, row.want)
		}
	}
}

func TestDecryptRefusesEverythingButAMarkedObject(t *testing.T) {
	t.Parallel()
	for _, plaintext := range []string{
		``, `null`, `1`, `[{` + watermark + `}]`, `{` + watermark + `}x`, `{` + watermark, `{"watermark":null}`, `{"watermark":"` + appID + `"}`,
		`{"watermark":{"appid":null}}`, `{"watermark":{"appid":7}}`, `{"watermark":{"APPID":"` + appID + `"}}`, `{"WATERMARK":{"appid":"` + appID + `"}}`,
		`{"watermark":{"appid":"wx0"},` + watermark + `}`, `{"watermark":{"appid":"wx0","appid":"` + appID + `"}}`, "{\"a\":\"\xff\"," + watermark + "}",
	} {
		got, err := wechat.Decrypt(vectorKey, vectorIV, encrypt(t, pad([]byte(plaintext))), appID)
		if !errors.Is(err, wechat.ErrDecrypt) || got != nil {
			t.Errorf("Decrypt of %q: got %s and %v, want ErrDecrypt", plaintext, got, err)
		}
	}
}

func TestAnEmptyAppIDMatchesNoWatermark(t *testing.T) {
	t.Parallel()
	data := encrypt(t, pad([]byte(`{"watermark":{"appid":""}}`)))
	if got, err := wechat.Decrypt(vectorKey, vectorIV, data, ""); !errors.Is(err, wechat.ErrDecrypt) {
		t.Errorf("Decrypt for no appid: got %s and %v, want ErrDecrypt", got, err)
	}
}

func TestNoWrongKeyEverOpensTheVector(t *testing.T) {
	t.Parallel()
	key := make([]byte, 16)
	for range 5000 { // about 20 of these pass the padding
		_, _ = rand.Read(key)
		if _, err := wechat.Decrypt(base64.StdEncoding.EncodeToString(key), vectorIV, vectorData, appID); !errors.Is(err, wechat.ErrDecrypt) {
			t.Fatalf("Decrypt with key %x: got %v, want ErrDecrypt", key, err)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	f.Add(vectorKey, vectorIV, vectorData, appID)
	f.Add("", "", "", "")
	f.Add(vectorKey, "AAAA", encode(17), appID)
	f.Fuzz(func(t *testing.T, key, iv, data, app string) {
		got, err := wechat.Decrypt(key, iv, data, app)
		if (err == nil) != (got != nil) || (err != nil && !errors.Is(err, wechat.ErrMalformed) && !errors.Is(err, wechat.ErrDecrypt)) {
			t.Errorf("Decrypt(%q, %q, %q, %q): got %q and %v, want either", key, iv, data, app, got, err)
		}
	})
}

// encode returns base64 of n zero bytes.
func encode(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }

// fill appends spaces to object until n more bytes complete a block.
func fill(object []byte, n int) []byte {
	for object = bytes.Clone(object); (len(object)+n)%16 != 0; {
		object = append(object, ' ')
	}
	return object
}

// pad appends PKCS#7.
func pad(plaintext []byte) []byte {
	n := 16 - len(plaintext)%16
	return append(bytes.Clone(plaintext), bytes.Repeat([]byte{byte(n)}, n)...)
}

// encrypt is the other direction, under the official key and iv.
func encrypt(t *testing.T, padded []byte) string {
	t.Helper()
	key, _ := base64.StdEncoding.DecodeString(vectorKey)
	iv, _ := base64.StdEncoding.DecodeString(vectorIV)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, padded)
	return base64.StdEncoding.EncodeToString(out)
}
