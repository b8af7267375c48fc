package authn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/storage"
)

// maxTokenBytes bounds what is looked at; our own tokens have about 450 bytes.
const maxTokenBytes = 4096

// checkForm refuses what is not the one spelling of a token that we would have written: RFC 7515 §2 asks for base64url
// without padding, white space or other characters, and the library below is lenient in all three. A foreign token may
// have another header, which is then read strictly.
func (r *keyring) checkForm(token string, foreign bool) error {
	if len(token) > maxTokenBytes {
		return ErrTokenMalformed
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, found := strings.Cut(rest, ".")
	if !found || !canonicalBase64(header) || !canonicalBase64(payload) || !canonicalBase64(signature) {
		return ErrTokenMalformed
	}
	if _, ours := r.byHeader[header]; !ours && !(foreign && foreignHeader(header)) {
		return ErrTokenInvalid
	}
	return nil
}

// canonicalBase64 reports whether s is base64url as an encoder writes it: unused bits of the last character are zero.
func canonicalBase64(s string) bool {
	if s == "" || len(s)%4 == 1 {
		return false
	}
	last := byte(0)
	for i := range len(s) {
		if last = base64urlValue(s[i]); last == invalidBase64 {
			return false
		}
	}
	switch len(s) % 4 {
	case 2:
		return last&0x0f == 0
	case 3:
		return last&0x03 == 0
	}
	return true
}

const invalidBase64 = 0xff

func base64urlValue(b byte) byte {
	switch {
	case b >= 'A' && b <= 'Z':
		return b - 'A'
	case b >= 'a' && b <= 'z':
		return b - 'a' + 26
	case b >= '0' && b <= '9':
		return b - '0' + 52
	case b == '-':
		return 62
	case b == '_':
		return 63
	}
	return invalidBase64
}

// verify returns what a token says, if its form, signature and origin hold; its times are not looked at.
func (a *Authn) verify(ctx context.Context, token string) (*verified, error) {
	if token == "" {
		return nil, ErrTokenMissing
	}
	keys := a.keys.Load()
	if v := keys.cache.get(token); v != nil {
		return v, nil
	}
	if err := keys.checkForm(token, a.cfg.AcceptForeign); err != nil {
		return nil, err
	}
	said, err := keys.parse(token)
	if err != nil {
		return nil, err
	}
	return a.admit(ctx, token, said)
}

// parse checks the signature of a token whose form holds, and returns what it says.
func (r *keyring) parse(token string) (*Payload, error) {
	said := new(Payload)
	if _, err := jwt.ParseWithClaims(token, said, r.find); err != nil {
		return nil, ofLibrary(err)
	}
	return said, nil
}

// ofLibrary turns an error of the JWT library into one of ours.
func ofLibrary(err error) error {
	if errors.Is(err, ErrTokenMalformed) || errors.Is(err, jwt.ErrTokenMalformed) {
		return ErrTokenMalformed
	}
	return ErrTokenInvalid
}

// admit turns what a token says, whose signature holds, into a verified token: of a login with us, or of an existing
// backend where that is allowed.
func (a *Authn) admit(ctx context.Context, token string, said *Payload) (*verified, error) {
	c, err := a.claimsOf(ctx, token, said)
	if err != nil {
		return nil, err
	}
	if c.Issuer != a.cfg.Issuer || c.Store == "" || c.UserID < 1 || c.OpenID == "" || c.audience ||
		c.IssuedAt < 1 || c.ExpiresAt <= c.IssuedAt {
		return nil, ErrTokenInvalid
	}
	if err := a.wantOurState(ctx, c); err != nil {
		return nil, err
	}
	return newVerified(c)
}

// claimsOf reads a payload by who wrote it, which the header tells: ours strictly, one of an existing backend as RFC 7519
// says.
func (a *Authn) claimsOf(ctx context.Context, token string, said *Payload) (*Claims, error) {
	header, _, _ := strings.Cut(token, ".")
	if _, ours := a.keys.Load().byHeader[header]; ours {
		return a.readOurs(said.json)
	}
	if !a.cfg.AcceptForeign || !foreignHeader(header) {
		return nil, ErrTokenInvalid // its key has just gone
	}
	c, err := readForeign(said.json)
	if err != nil {
		return nil, err
	}
	return a.adopt(ctx, token, c)
}

// readOurs reads what we wrote. No token of ours lives longer than authn.token_ttl, and none is of use for longer than
// the refresh window after that: one whose exp was meant in milliseconds, or for ever, is not taken, whoever signed it.
func (a *Authn) readOurs(payload []byte) (*Claims, error) {
	c := new(Claims)
	if err := c.UnmarshalJSON(payload); err != nil {
		return nil, err
	}
	if c.ExpiresAt-c.IssuedAt > int64((a.cfg.TokenTTL+a.cfg.Refresh.Window)/time.Second) {
		return nil, fmt.Errorf("%w: it lives longer than ours do", ErrTokenInvalid)
	}
	return c, nil
}

func newVerified(c *Claims) (*verified, error) {
	v := &verified{claims: *c, subject: c.subject(), user: userKey(storage.ScopeUser, c.UserID)}
	var sid, jti bool
	v.session, sid = newRevocationKey(storage.ScopeSession, c.SessionID)
	v.token, jti = newRevocationKey(storage.ScopeToken, c.TokenID)
	if !sid || !jti {
		return nil, ErrTokenInvalid
	}
	return v, nil
}

// judge decides on the times of a verified token and on revocation. It touches no disk. late is how long after its
// expiry the token is still taken, 0 but for refresh, which decides on replaced tokens itself.
func (a *Authn) judge(v *verified, late time.Duration) error {
	now, c := a.now(), &v.claims
	latest := now.Add(a.cfg.Leeway).Unix()
	switch {
	case c.IssuedAt > latest || c.NotBefore > latest:
		return ErrTokenInvalid
	case !now.Before(c.expiry().Add(a.cfg.Leeway + late)):
		return ErrTokenExpired
	case late == 0 && a.revoked.refuses(v, now), a.revoked.ended(v, now):
		return ErrTokenRevoked
	}
	return nil
}

// stateStore tells what this state of the store issued from what a lost one did.
type stateStore interface {
	ID() string
	Epoch() string
	Issued(ctx context.Context, epoch string, at time.Time) (bool, error)
}

// state is the claim store of what is issued now: see stateOf.
func (a *Authn) state() string { return a.store.ID() + "." + a.store.Epoch() }

// stateOf is the claim store of a session's current token: the id of the store and, behind a dot, that of the epoch in
// which the token was issued. The same token is given again after a restart, whose own epoch may not be on the disk yet.
// Tokens from before there were epochs have the id alone.
func (a *Authn) stateOf(s storage.Session) string {
	if s.Epoch == "" {
		return a.store.ID()
	}
	return a.store.ID() + "." + s.Epoch
}

// wantOurState returns ErrTokenRevoked for a token that was issued by a state of the store that is gone: of a folder that
// was wiped, restored, or put back as it was before. The ids in it may be those of other people now.
func (a *Authn) wantOurState(ctx context.Context, c *Claims) error {
	id, epoch, _ := strings.Cut(c.Store, ".")
	if id == a.store.ID() {
		issued, err := a.store.Issued(ctx, epoch, time.Unix(c.IssuedAt, 0))
		if err != nil || issued {
			return err
		}
	}
	a.lost.Do(func() {
		a.log.WarnContext(ctx, "A TOKEN OF A LOST STATE OF THE STORE WAS REFUSED, and so are all others of it. "+
			"If the data folder was put back from a backup, see `wxgate restore`")
	})
	return ErrTokenRevoked
}
