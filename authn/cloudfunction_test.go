package authn

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"wxgate/secret"
)

// signedByTheFunction reads the vector that tests/cloud/signature.test.js checks the cloud function against.
func signedByTheFunction(t *testing.T) (call SignedCall, key secret.Text, now time.Time) {
	t.Helper()
	text, err := os.ReadFile("testdata/cloud-function.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Secret, AppID, OpenID, Method, Target string
		Now                                   int64 // milliseconds
		Headers                               map[string]string
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return SignedCall{
		AppID: v.Headers["x-wxgate-appid"], OpenID: v.Headers["x-wxgate-openid"], Timestamp: v.Headers["x-wxgate-timestamp"],
		Method: v.Method, Target: v.Target, Content: v.Headers["x-wxgate-content-sha256"], Signature: v.Headers["x-wxgate-signature-v2"],
	}, secret.Text(v.Secret), time.UnixMilli(v.Now)
}

func TestACallThatTheCloudFunctionSignedIsBelieved(t *testing.T) {
	t.Parallel()
	call, key, now := signedByTheFunction(t)
	for _, skew := range []time.Duration{0, 59 * time.Second, -59 * time.Second} {
		if id, ok := call.Identity(key, now.Add(skew)); !ok || id != (CloudIdentity{AppID: "wx0123456789abcdef", OpenID: "oCaller-1_x"}) {
			t.Errorf("%s later: got %+v, %t, want the caller", skew, id, ok)
		}
	}
}

func TestACallWithAnythingElseIsNotBelieved(t *testing.T) {
	t.Parallel()
	good, key, now := signedByTheFunction(t)
	for name, spoil := range map[string]func(*SignedCall){
		"another openid":              func(c *SignedCall) { c.OpenID = "oSomebodyElse" },
		"another mini-program":        func(c *SignedCall) { c.AppID = "wx9" },
		"another method":              func(c *SignedCall) { c.Method = "DELETE" },
		"another path":                func(c *SignedCall) { c.Target = "/api/v1/auth/logout" },
		"another query":               func(c *SignedCall) { c.Target += "1" },
		"another body":                func(c *SignedCall) { c.Content = strings.Repeat("0", 64) },
		"no word on the body":         func(c *SignedCall) { c.Content = "" },
		"a later time":                func(c *SignedCall) { c.Timestamp = "1795219201" },
		"the same time, written anew": func(c *SignedCall) { c.Timestamp = "0" + c.Timestamp },
		"a wrong signature":           func(c *SignedCall) { c.Signature = strings.Repeat("0", 64) },
		"half a signature":            func(c *SignedCall) { c.Signature = c.Signature[:32] },
		"no signature":                func(c *SignedCall) { c.Signature = "" },
		"a signature that is not hex": func(c *SignedCall) { c.Signature = strings.Repeat("z", 64) },
	} {
		call := good
		spoil(&call)
		if id, ok := call.Identity(key, now); ok {
			t.Errorf("%s: got %+v, want nobody", name, id)
		}
	}
	anybodys := good
	anybodys.Signature = hex.EncodeToString(good.sum(""))
	if id, ok := anybodys.Identity("", now); ok {
		t.Errorf("signed without a secret, where there is none: got %+v, want nobody", id)
	}
	for name, c := range map[string]struct {
		key secret.Text
		now time.Time
	}{
		"replayed after the window": {key, now.Add(2 * time.Minute)},
		"from the future":           {key, now.Add(-2 * time.Minute)},
		"another secret":            {key + "x", now},
		"no secret here":            {"", now},
	} {
		if id, ok := good.Identity(c.key, c.now); ok {
			t.Errorf("%s: got %+v, want nobody", name, id)
		}
	}
}
