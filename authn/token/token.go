// Package token writes and verifies JSON Web Tokens: the access tokens of authn, those of an existing backend that signs with
// our key, and the signed identities that services get. It decides on form, key and claims. Times, revocation and who the
// user of an imported token is are authn's. Everything is safe for concurrent use.
package token

import "errors"

// Why a token is refused. Logging in again helps in every case.
var (
	ErrMissing   = errors.New("no bearer token")
	ErrMalformed = errors.New("the bearer token is not a JWT of our form")
	ErrInvalid   = errors.New("the token's signature, issuer or claims do not hold")
	ErrExpired   = errors.New("the token has expired")
	ErrRevoked   = errors.New("the token's session has ended")
	ErrReused    = errors.New("a replaced token was presented for refresh")
)
