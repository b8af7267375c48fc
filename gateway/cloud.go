package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"wxgate/authn"
	"wxgate/gateway/header"
)

// cloudIdentity reads who WeChat says is calling; nil when it says nothing, or when we are not told to believe it.
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

// warnUnsignedBody says once that a cloud function signs as the one before this release did.
func (c *clientResolver) warnUnsignedBody(ex *Exchange) {
	if ex.snapshot.cfg.FunctionKey != "" && ex.header("X-Wxgate-Signature") != "" && ex.header(headerFunctionSignature) == "" {
		c.unsignedBody.Do(func() {
			c.log.Warn("a call of the cloud function is not believed: it does not sign the body; deploy the api-proxy of this release")
		})
	}
}

// functionIdentity is the identity that the cloud function signed. The content was signed with it: a body that turns out to
// be another one never ends.
func functionIdentity(ex *Exchange) *authn.CloudIdentity {
	content := header.One(&ex.request.Header, headerFunctionContent)
	id, believed := authn.SignedCall{
		AppID: header.One(&ex.request.Header, "X-Wxgate-Appid"), OpenID: header.One(&ex.request.Header, "X-Wxgate-Openid"), Timestamp: header.One(&ex.request.Header, "X-Wxgate-Timestamp"),
		Method: ex.method, Target: string(ex.request.Header.RequestURI()), Content: content,
		Signature: header.One(&ex.request.Header, headerFunctionSignature),
	}.Identity(ex.snapshot.cfg.FunctionKey, ex.headReceivedAt())
	if !believed || !ex.body.expectDigest(content) {
		return nil
	}
	return &id
}

// cloudRunIdentity is the identity in the headers of WeChat Cloud Run. X-WX-SOURCE is there only on calls from within WeChat; resource sharing uses the FROM headers instead of the plain
// ones. The platform's word is believed only where the operator says that nothing else can reach us.
func cloudRunIdentity(ex *Exchange) *authn.CloudIdentity {
	if !ex.snapshot.cfg.CloudRun || ex.header("X-Wx-Source") == "" {
		return nil
	}
	for _, from := range []string{"", "From-"} {
		openid := header.One(&ex.request.Header, "X-Wx-"+from+"Openid")
		if openid != "" {
			return &authn.CloudIdentity{
				AppID: header.One(&ex.request.Header, "X-Wx-"+from+"Appid"), OpenID: openid, UnionID: header.One(&ex.request.Header, "X-Wx-"+from+"Unionid"),
			}
		}
	}
	return nil
}

// errDigestMismatch is a body that is not the one that was signed.
var errDigestMismatch = fmt.Errorf("%w: the body is not the one that was signed", authn.ErrCloudIdentity)

// expectDigest makes a body with another SHA-256 than sum, in hex, fail where it ends: whoever reads it never gets it
// whole. It reports whether that can still be: a request without a body must be signed so.
func (b *limitedBody) expectDigest(sum string) bool {
	want, err := hex.DecodeString(sum)
	if err != nil || len(want) != sha256.Size {
		return false
	}
	if b.stream == nil {
		return b.size != 0 || digestMatches(want, sha256.New()) // a size without a stream waits for 100-continue
	}
	b.stream = &digestReader{source: b.stream, left: b.size, want: want, got: sha256.New()}
	return true
}

// digestReader is a body whose last bytes are given only when all of it is what was signed.
type digestReader struct {
	source io.Reader
	left   int64 // bytes to come; below 0: chunked
	want   []byte
	got    hash.Hash
}

// Read returns errDigestMismatch in place of the end.
func (s *digestReader) Read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	_, _ = s.got.Write(p[:n]) // a hash takes all
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
