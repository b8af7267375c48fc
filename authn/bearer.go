package authn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/storage"
)

// Verify returns who an Authorization header (RFC 6750 §2.1) speaks for: "Bearer", blanks and a token. parse is called for
// a token that was not seen before; it checks form and signature, with CheckForm and Key, and returns the payload. The
// Subject never changes and shares no memory with the header. Errors are ErrTokenMissing, ErrTokenMalformed,
// ErrTokenInvalid, ErrTokenExpired, ErrTokenRevoked or one of storage.
func (a *Authn) Verify(ctx context.Context, authorization string, parse func() (*Payload, error)) (*Subject, error) {
	v, err := a.verifyHeader(ctx, authorization, parse)
	if err == nil {
		err = a.judge(v, 0) // what changes from request to request: time and revocation
	}
	if err != nil {
		return nil, a.refused(err)
	}
	a.metrics.verified.Inc()
	return &v.subject, nil
}

func (a *Authn) verifyHeader(ctx context.Context, authorization string, parse func() (*Payload, error)) (*verified, error) {
	token, err := credentials(authorization)
	if err != nil {
		return nil, err
	}
	cache := a.keys.Load().cache
	if v := cache.get(token); v != nil {
		a.metrics.cacheHits.Inc()
		return v, nil
	}
	a.metrics.cacheMisses.Inc()
	said, err := parse()
	if err != nil {
		return nil, ofLibrary(err)
	}
	token = strings.Clone(token) // it aliases the request's buffer
	v, err := a.admit(ctx, token, said)
	if err != nil {
		return nil, err
	}
	cache.put(token, v)
	return v, nil
}

// CheckForm refuses a token that is not spelled as we, or an existing backend, would have written it: ErrTokenMalformed or
// ErrTokenInvalid. It comes before the signature is checked: the JWT library is lenient.
func (a *Authn) CheckForm(token string) error {
	return a.keys.Load().checkForm(token, a.cfg.AcceptForeign)
}

// Key is the jwt.Keyfunc of our tokens.
func (a *Authn) Key(token *jwt.Token) (any, error) { return a.keys.Load().find(token) }

func (a *Authn) refused(err error) error {
	a.metrics.refused(err)
	return err
}

// credentials takes the token out of an Authorization header, in the header's own memory: "Bearer", 1*SP, b64token (RFC
// 6750 §2.1), in at most maxTokenBytes. Everything that looks at a token asks here, so that one token has one spelling:
// what is looser would be another key of the token cache for the same token. The scheme's case does not matter (RFC 9110
// §11.1).
//
// The error is ErrTokenMissing when the request does not try to say who it is from, ErrTokenMalformed when it fails to.
func credentials(authorization string) (string, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.Trim(token, " ")
	switch {
	case guest(authorization) || strings.EqualFold(scheme, "Bearer") && guest(token):
		return "", ErrTokenMissing
	case !strings.EqualFold(scheme, "Bearer"):
		return "", fmt.Errorf("%w: Authorization is not Bearer and a token", ErrTokenMalformed)
	case len(token) > maxTokenBytes || !b64token(token):
		return "", fmt.Errorf("%w: it is not one b64token of up to %d bytes", ErrTokenMalformed, maxTokenBytes)
	}
	return token, nil
}

// HasCredentials reports whether a request with that Authorization header tries to say who it is from.
func HasCredentials(authorization string) bool {
	_, err := credentials(authorization)
	return !errors.Is(err, ErrTokenMissing)
}

// guest reports whether a text is what request wrappers send for people who have not logged in: they write "Bearer "
// before whatever their storage holds.
func guest(s string) bool { return s == "" || s == "null" || s == "undefined" }

// b64token reports whether s is one or more of the characters of RFC 6750 §2.1, with = at its end alone.
func b64token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if base64urlValue(s[i]) == invalidBase64 && strings.IndexByte(".~+/", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// Alive says why the subject's session may not go on, nil when it may: its token has expired (ErrTokenExpired), or the
// session or the user was ended (ErrTokenRevoked). A token that a refresh replaced ends nothing. It asks memory alone.
func (a *Authn) Alive(s Subject) error {
	now := a.now()
	session, ok := newRevocationKey(storage.ScopeSession, s.SessionID)
	switch {
	case !now.Before(s.ExpiresAt.Add(a.cfg.Leeway)):
		return ErrTokenExpired
	case ok && a.revoked.covers(session, now), a.revoked.covers(userKey(storage.ScopeUser, s.UserID), now),
		s.adoptedAt != 0 && a.revoked.endedForeign(s.UserID, s.adoptedAt):
		return ErrTokenRevoked
	}
	return nil
}
