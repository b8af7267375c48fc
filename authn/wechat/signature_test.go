package wechat_test

import (
	"strings"
	"testing"

	"wxgate/authn/wechat"
)

// The official vector of the page "开放数据校验与解密".
const (
	signedKey = "HyVFkGl5F5OQWJZZaNzBBg=="
	rawData   = `{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong","country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}`
	signed    = "75e81ceda165f4ffa64f4068af58c64b8f54b88c"
)

// The official vector of the page "用户登录态签名".
const (
	hmacKey  = "o0q0otL8aEzpcZL/FT9WsQ=="
	hmacBody = `{"foo":"bar"}`
	hmacHex  = "654571f79995b2ce1e149e53c0a33dc39c0a74090db514261454e8dbe432aa0b"
)

func TestSignatureMatchesTheOfficialVector(t *testing.T) {
	t.Parallel()
	if got := wechat.Signature(rawData, signedKey); got != signed {
		t.Errorf("Signature: got %s, want %s", got, signed)
	}
}

func TestHMACSignatureMatchesTheOfficialVector(t *testing.T) {
	t.Parallel()
	const ofNothing = "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"
	for body, want := range map[string]string{hmacBody: hmacHex, "": ofNothing} {
		if got := wechat.HMACSignature(body, hmacKey); got != want {
			t.Errorf("HMACSignature(%q): got %s, want %s", body, got, want)
		}
	}
}

func TestOnlyTheExactSignatureIsValid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		data, key, is string
		want          bool
	}{
		{"official", rawData, signedKey, signed, true},
		{"other data", rawData + " ", signedKey, signed, false},
		{"other key", rawData, hmacKey, signed, false},
		{"cut", rawData, signedKey, signed[:39], false},
		{"upper case", rawData, signedKey, strings.ToUpper(signed), false},
		{"no signature", rawData, signedKey, "", false},
		{"no key", rawData, "", wechat.Signature(rawData, ""), false},
	} {
		if got := wechat.ValidSignature(row.data, row.key, row.is); got != row.want {
			t.Errorf("ValidSignature, %s: got %t, want %t", row.name, got, row.want)
		}
	}
}

func TestOnlyTheExactHMACSignatureIsValid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		body, key, is string
		want          bool
	}{
		{"official", hmacBody, hmacKey, hmacHex, true},
		{"other body", "", hmacKey, hmacHex, false},
		{"other key", hmacBody, signedKey, hmacHex, false},
		{"no signature", hmacBody, hmacKey, "", false},
		{"no key", hmacBody, "", wechat.HMACSignature(hmacBody, ""), false},
	} {
		if got := wechat.ValidHMACSignature(row.body, row.key, row.is); got != row.want {
			t.Errorf("ValidHMACSignature, %s: got %t, want %t", row.name, got, row.want)
		}
	}
}
