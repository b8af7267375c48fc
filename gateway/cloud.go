package gateway

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"wxgate/authn"
	"wxgate/gateway/header"
	"wxgate/message"
)

// cloudIdentity returns the caller that WeChat vouches for, nil when it names none or is not trusted to.
func cloudIdentity(ex *Exchange) *authn.CloudIdentity {
	if ex.snapshot.cfg.FunctionKey != "" && ex.header(headerFunctionSignature) != "" {
		return functionIdentity(ex)
	}
	return cloudRunIdentity(ex)
}

// headerFunctionSignature is on calls that the cloud function api-proxy signed. One that was deployed before content was
// signed sends X-Wxgate-Signature alone, which is not believed.
const (
	headerFunctionSignature = "X-Wxgate-Signature-V2"
	headerFunctionContent   = "X-Wxgate-Content-Sha256"
)

// warnUnsignedBody warns once that a deployed cloud function signs as before this release.
func (c *clientResolver) warnUnsignedBody(ex *Exchange) {
	if ex.snapshot.cfg.FunctionKey != "" && ex.header("X-Wxgate-Signature") != "" && ex.header(headerFunctionSignature) == "" {
		c.unsignedBody.Do(func() {
			c.log.Warn("a call of the cloud function is not believed: it does not sign the body; deploy the api-proxy of this release")
		})
	}
}

// functionIdentity is the identity that the cloud function signed. The signature covers the content: reading a
// different body fails before its end.
func functionIdentity(ex *Exchange) *authn.CloudIdentity {
	content := header.One(&ex.request.Fields, headerFunctionContent)
	id, believed := authn.SignedCall{
		AppID: header.One(&ex.request.Fields, "X-Wxgate-Appid"), OpenID: header.One(&ex.request.Fields, "X-Wxgate-Openid"), Timestamp: header.One(&ex.request.Fields, "X-Wxgate-Timestamp"),
		Method: ex.method, Target: string(ex.request.Target), Content: content,
		Signature: header.One(&ex.request.Fields, headerFunctionSignature),
	}.Identity(ex.snapshot.cfg.FunctionKey, ex.start)
	if !believed || !ex.body.expectDigest(content) {
		return nil
	}
	return &id
}

// readCloudRun notes what WeChat Cloud Run says of a request, before its headers are removed. What comes by 微信网关 is not from
// there: it names no user, and passes on what clients have made up.
func readCloudRun(ex *Exchange) {
	if !ex.snapshot.cfg.CloudRun || ex.ingress {
		return
	}
	fields := &ex.request.Fields
	if ex.cloudSource = header.One(fields, "X-Wx-Source"); !fields.Has("X-Wx-Source") {
		ex.cloudSource = header.One(fields, "X-Wx-Sources") // so on one page
	}
	ex.cloudApp = cmp.Or(header.One(fields, "X-Wx-From-Appid"), header.One(fields, "X-Wx-Appid"))
}

// cloudRunIdentity is the identity in the headers of WeChat Cloud Run. X-WX-SOURCE is present only on calls from within
// WeChat; resource sharing uses the FROM headers instead of the plain ones. The headers are believed only where the
// operator states that nothing else can reach us.
func cloudRunIdentity(ex *Exchange) *authn.CloudIdentity {
	if !broughtByCloudRun(ex) {
		return nil
	}
	for _, from := range []string{"", "From-"} {
		openid := header.One(&ex.request.Fields, "X-Wx-"+from+"Openid")
		if openid != "" {
			return &authn.CloudIdentity{
				AppID: header.One(&ex.request.Fields, "X-Wx-"+from+"Appid"), OpenID: openid, UnionID: header.One(&ex.request.Fields, "X-Wx-"+from+"Unionid"),
			}
		}
	}
	return nil
}

// broughtByCloudRun reports whether a request comes from within WeChat.
func broughtByCloudRun(ex *Exchange) bool { return ex.cloudSource != "" }

// isOfClient reports whether a source, or a chain of them, names what a person can send from (page "Cloud.getWXContext").
func isOfClient(source string) bool {
	of := []string{"wx_client", "wx_devtools", "wx_http", "wx_localdebug", "wx_crawler"}
	return slices.ContainsFunc(of, func(one string) bool { return message.ListContains([]byte(source), one) })
}

// isOfFunction reports whether a source names a cloud function, which people call.
func isOfFunction(source string) bool { return message.ListContains([]byte(source), "scf") }

// errDigestMismatch is a body other than the one that was signed.
var errDigestMismatch = fmt.Errorf("%w: the body is not the one that was signed", authn.ErrCloudIdentity)

// expectDigest makes reading the body fail before its end unless its SHA-256 is sum, in hex, so that no reader gets a
// different body whole. It reports whether the body can still match: a request without a body must be signed as such.
func (b *limitedBody) expectDigest(sum string) bool {
	want, err := hex.DecodeString(sum)
	if err != nil || len(want) != sha256.Size {
		return false
	}
	if b.stream == nil {
		return digestMatches(want, sha256.New())
	}
	b.stream = &digestReader{source: b.stream, left: b.size, want: want, got: sha256.New()}
	return true
}

// digestReader is a body whose last bytes are returned only if the whole matches the signed digest.
type digestReader struct {
	source io.Reader
	left   int64 // remaining bytes; negative: chunked
	want   []byte
	got    hash.Hash
}

// Read returns errDigestMismatch in place of the end.
func (s *digestReader) Read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	_, _ = s.got.Write(p[:n]) // a hash never fails
	if s.left > 0 {
		s.left -= int64(n)
	}
	if (errors.Is(err, io.EOF) || s.left == 0) && !digestMatches(s.want, s.got) {
		return 0, errDigestMismatch
	}
	return n, err
}

func digestMatches(want []byte, got hash.Hash) bool {
	return subtle.ConstantTimeCompare(want, got.Sum(nil)) == 1
}
