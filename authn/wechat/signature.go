package wechat

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
)

// Signature returns sha1(rawData + sessionKey) in lower-case hex, as wx.getUserInfo signs (page "开放数据校验与解密").
// sessionKey is the base64 text itself, not the bytes it stands for, and rawData the exact string the client received:
// JSON that was parsed and re-encoded has a different signature.
func Signature(rawData, sessionKey string) string {
	sum := sha1.Sum([]byte(rawData + sessionKey))
	return hex.EncodeToString(sum[:])
}

// ValidSignature compares signature with Signature in constant time. With an empty sessionKey no signature is valid.
func ValidSignature(rawData, sessionKey, signature string) bool {
	return sessionKey != "" && hmac.Equal([]byte(Signature(rawData, sessionKey)), []byte(signature))
}

// HMACSignature returns hmac_sha256(sessionKey, body) in lower-case hex, the login-state signature of the pages
// "用户登录态签名" and "checkSessionKey". sessionKey is again the base64 text; body is that of a POST, or empty for a GET.
func HMACSignature(body, sessionKey string) string { return hmacHex(body, sessionKey) }

// PaySignature returns hmac_sha256(appKey, uri & body) in lower-case hex, the paySig of the page "虚拟支付". uri is
// PayVirtual or PayCommon and body the signData for a call of the client; for a call of a server they are its path without
// the query, and the bytes of its body.
func PaySignature(uri, body, appKey string) string { return hmacHex(uri+"&"+body, appKey) }

func hmacHex(message, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// ValidHMACSignature compares signature with HMACSignature in constant time. With an empty sessionKey no signature is
// valid.
func ValidHMACSignature(body, sessionKey, signature string) bool {
	return sessionKey != "" && hmac.Equal([]byte(HMACSignature(body, sessionKey)), []byte(signature))
}
