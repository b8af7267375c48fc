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
)

// errContentForged is a body that is not the one that was signed.
var errContentForged = fmt.Errorf("%w: the body is not the one that was signed", authn.ErrCloudIdentity)

// expectContent makes a body with another SHA-256 than sum, in hex, fail where it ends: whoever reads it never gets it
// whole. It reports whether that can still be: a request without a body must be signed so.
func (b *limitedBody) expectContent(sum string) bool {
	want, err := hex.DecodeString(sum)
	if err != nil || len(want) != sha256.Size {
		return false
	}
	if b.stream == nil {
		return b.size != 0 || equalSums(want, sha256.New()) // a size without a stream waits for 100-continue
	}
	b.stream = &signedContent{source: b.stream, left: b.size, want: want, got: sha256.New()}
	return true
}

// signedContent is a body whose last bytes are given only when all of it is what was signed.
type signedContent struct {
	source io.Reader
	left   int64 // bytes to come; below 0: chunked
	want   []byte
	got    hash.Hash
}

// Read returns errContentForged in place of the end.
func (s *signedContent) Read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	_, _ = s.got.Write(p[:n]) // a hash takes all
	if s.left > 0 {
		s.left -= int64(n)
	}
	if (errors.Is(err, io.EOF) || s.left == 0) && !equalSums(s.want, s.got) {
		return 0, errContentForged
	}
	return n, err
}

func equalSums(want []byte, got hash.Hash) bool {
	return subtle.ConstantTimeCompare(want, got.Sum(nil)) == 1
}
