package authn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// signedCallWindow is how far the clocks of the cloud function and of the gateway may differ, and so how long a signature
// that somebody stole is worth something.
const signedCallWindow = time.Minute

// SignedCall is what the cloud function api-proxy says of a call that it carries. The platform tells the function who is
// calling, and the function signs that; see miniprogram/cloudfunctions/api-proxy/signature.js.
type SignedCall struct {
	AppID     string
	OpenID    string
	Timestamp string // Unix seconds
	Method    string // as it was sent, before X-HTTP-Method-Override
	Target    string // path and query, as they were sent
	Content   string // SHA-256 of the body, in hex; who reads the body compares it
	Signature string // HMAC-SHA256 over the version and the others, in hex
}

// signedCallVersion is the first line of what is signed. Version 1 had no such line and left the content out, so that one
// signature carried any body for a minute; it is not believed any more.
const signedCallVersion = "v2"

// Identity is who is calling, and whether to believe it: the call was signed with the secret, and just now.
func (s SignedCall) Identity(secret Secret, now time.Time) (CloudIdentity, bool) {
	signature, err := hex.DecodeString(s.Signature)
	believed := err == nil && secret.Reveal() != "" && hmac.Equal(signature, s.sum(secret)) && s.isOf(now)
	if !believed {
		return CloudIdentity{}, false
	}
	return CloudIdentity{AppID: s.AppID, OpenID: s.OpenID}, true
}

// sum is over a line each; none of them can hold a line break, which no part of a request's head can.
func (s SignedCall) sum(secret Secret) []byte {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(strings.Join([]string{signedCallVersion, s.Timestamp, s.AppID, s.OpenID, s.Method, s.Target, s.Content}, "\n")))
	return mac.Sum(nil)
}

func (s SignedCall) isOf(now time.Time) bool {
	seconds, err := strconv.ParseInt(s.Timestamp, 10, 64)
	return err == nil && now.Sub(time.Unix(seconds, 0)).Abs() <= signedCallWindow
}
