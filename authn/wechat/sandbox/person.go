package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// openID is stable for a person within an appid, also across restarts, and looks like a real one: o and 27 characters.
func openID(appID, person string) string { return "o" + digest("openid:"+appID, person)[:27] }

// unionID is stable for a person whatever the appid, and looks like a real one: oU and 26 characters.
func unionID(person string) string { return "oU" + digest("unionid", person)[:26] }

// digest returns 43 characters of the base64url alphabet.
func digest(key, person string) string {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write([]byte(person))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// SessionKeyPrefix begins every session_key of a sandbox, so that logs can be searched for all of them.
const SessionKeyPrefix = "sandboxKey+/"

// newSessionKey is base64 of 16 bytes, of which 7 are random; each login gets another one.
func newSessionKey() string {
	key, _ := base64.StdEncoding.DecodeString(SessionKeyPrefix) // 9 bytes
	key = append(key, make([]byte, 16-len(key))...)
	_, _ = rand.Read(key[9:]) // never fails: crypto/rand ends the process instead
	return base64.StdEncoding.EncodeToString(key)
}

// randomHex is 32 random characters of 0-9 and a-f.
func randomHex() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
