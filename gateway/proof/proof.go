// Package proof lets whoever has server.admin_token find out that the gateway at an address has it too, and ask that gateway,
// request by request, to say what it would do instead of doing it. The token itself is never sent.
package proof

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"wxgate/secret"
)

// The headers of a question and of its answer.
const (
	HeaderQuestion = "X-Wxgate-Prove" // TIME.NONCE.MAC: Unix seconds, visible ASCII without a dot, 64 hexadecimal digits
	HeaderAnswer   = "X-Wxgate-Proof" // 64 hexadecimal digits
)

// fresh is how far the clocks of the two may differ, and so how long a question that somebody has seen can be repeated. It
// changes nothing, and the answer holds no secret.
const fresh = time.Minute

const maxNonce = 64 // bytes

// Question returns a HeaderQuestion for a request, and the HeaderAnswer of a gateway that has the token.
func Question(token secret.Text, method, target string, now time.Time) (value, answer string) {
	at, nonce := strconv.FormatInt(now.Unix(), 10), rand.Text()
	return at + "." + nonce + "." + mac(token, "question", at, nonce, method, target), mac(token, "answer", nonce)
}

// Answer returns the HeaderAnswer to a question of whoever has the token; ok is false for any other, and without a token.
func Answer(token secret.Text, method, target, value string, now time.Time) (answer string, ok bool) {
	at, rest, _ := strings.Cut(value, ".")
	nonce, given, _ := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if token == "" || err != nil || len(nonce) > maxNonce || now.Sub(time.Unix(seconds, 0)).Abs() > fresh {
		return "", false
	}
	if !hmac.Equal([]byte(given), []byte(mac(token, "question", at, nonce, method, target))) {
		return "", false
	}
	return mac(token, "answer", nonce), true
}

// mac is HMAC-SHA256 over lines, none of which has a line end within.
func mac(token secret.Text, lines ...string) string {
	sum := hmac.New(sha256.New, []byte("wxgate prove\n"+token.Reveal()))
	sum.Write([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum.Sum(nil))
}
