// Package token writes and verifies JSON Web Tokens: the access tokens of authn, those of an existing backend that
// signs with our key, and the signed identities that services get. It checks form, signature and claims; times,
// revocation and the user of an imported token are up to authn. Everything is safe for concurrent use.
package token

import "errors"

// Why a token is refused. Logging in again helps in every case.
var (
	ErrMissing   = errors.New("no bearer token")
	ErrMalformed = errors.New("the bearer token is malformed")
	ErrInvalid   = errors.New("the token's signature, issuer or claims are invalid")
	ErrExpired   = errors.New("the token has expired")
	ErrRevoked   = errors.New("the token's session has ended")
	ErrReused    = errors.New("a replaced token was used to refresh")
)
