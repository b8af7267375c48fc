package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/authn/token"
	"wxgate/lograte"
)

// maxTokenBytes bounds what is looked at: tokens with the roles of somebody are longer than ours.
const maxTokenBytes = 8 << 10

// errSignature refuses a token that no known key signed.
var errSignature = fmt.Errorf("%w: no key of the issuer signed it", token.ErrInvalid)

// verify returns the caller of a credential; its times are not checked.
func (s *source) verify(ctx context.Context, credential string) (*Caller, error) {
	known := s.keys.Load()
	if candidate, named := token.Candidate(credential); named && known != nil {
		if c := known.cache.get(candidate); c != nil {
			return c, nil
		}
	}
	bearer, err := token.BearerUpTo(credential, maxTokenBytes)
	if err != nil {
		return nil, err
	}
	t, err := parse(bearer)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(s.cfg.algorithms(), t.algorithm) {
		return nil, s.refuse("alg is not one of its algorithms")
	}
	known, signer, err := s.signerOf(ctx, t)
	if err != nil {
		return nil, err
	}
	c, err := s.read(t.payload)
	if err != nil {
		return nil, s.refuse(err.Error())
	}
	c.signer = signer
	known.cache.put(strings.Clone(bearer), c) // it aliases the request's buffer
	return c, nil
}

// refuse logs why a token was refused, which says what to change in the configuration, and returns token.ErrInvalid.
func (s *source) refuse(why string) error {
	s.deps.often.Info(lograte.Kind{Message: "token of an issuer refused"}, "issuer", s.cfg.Name, "because", why)
	return token.ErrInvalid
}

// signerOf returns the key that signed the token, and the keys it is one of. If none did, newer ones are asked for first:
// a token may name no key, and some issuers keep the kid when they replace a key. Errors are token.ErrInvalid and
// ErrUnavailable.
func (s *source) signerOf(ctx context.Context, t parsed) (*knownKeys, *key, error) {
	before := s.keys.Load()
	if before != nil {
		if signer := t.signer(before.list); signer != nil {
			return before, signer, nil
		}
	}
	known := before
	for range 2 { // a fetch that was under way may have been answered before the token's key was there
		s.awaitNewer(ctx)
		before, known = known, s.keys.Load()
		if known == nil {
			return nil, nil, ErrUnavailable
		}
		if known != before {
			if signer := t.signer(known.list); signer != nil {
				return known, signer, nil
			}
		}
	}
	tried, fitting := t.candidates(known.list)
	s.deps.often.Info(lograte.Kind{Message: "no known key of an issuer signed a token"}, "issuer", s.cfg.Name, "tried", len(tried), "fitting", fitting)
	return nil, nil, token.ErrInvalid
}

// parsed is a token whose form is right. Nothing of it is trusted.
type parsed struct {
	algorithm string
	keyID     string // "": none
	signed    string
	payload   []byte
	signature []byte
}

// parse reads a token in the compact serialisation (RFC 7515 §7.1). Of its header only alg, kid, typ and crit are read:
// jku, jwk, x5u and x5c, which bring or name a key, choose nothing.
func parse(bearer string) (t parsed, err error) {
	header, rest, _ := strings.Cut(bearer, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	head, ok := token.DecodeSegment(header)
	if t.payload, ok = decodeNext(payload, ok); ok {
		t.signature, ok = token.DecodeSegment(signature)
	}
	if !ok {
		return parsed{}, token.ErrMalformed
	}
	t.signed = bearer[:len(header)+1+len(payload)]
	members, err := token.Members(head)
	if err != nil {
		return parsed{}, err
	}
	if json.Unmarshal(members["alg"], &t.algorithm) != nil || t.algorithm == "" {
		return parsed{}, token.ErrMalformed
	}
	if kid, there := members["kid"]; there && (json.Unmarshal(kid, &t.keyID) != nil || len(t.keyID) > maxKeyIDBytes) {
		return parsed{}, token.ErrMalformed
	}
	_, critical := members["crit"] // RFC 7515 §4.1.11: there is no extension that we know
	_, unencoded := members["b64"]
	if critical || unencoded || !isAccessType(members["typ"]) {
		return parsed{}, token.ErrInvalid
	}
	return t, nil
}

func decodeNext(segment string, ok bool) ([]byte, bool) {
	if !ok {
		return nil, false
	}
	return token.DecodeSegment(segment)
}

// isAccessType reports whether typ is that of an access token (RFC 9068 §2.1), or says nothing: the same key also signs
// logout tokens, DPoP proofs and others (RFC 8725 §3.11).
func isAccessType(typ json.RawMessage) bool {
	text := "JWT"
	if typ != nil && json.Unmarshal(typ, &text) != nil {
		return false
	}
	switch strings.TrimPrefix(strings.ToLower(text), "application/") {
	case "jwt", "at+jwt":
		return true
	}
	return false
}

// maxCandidates is how many keys are tried for one token: issuers name the key, or have one.
const maxCandidates = 4

// candidates are the keys that are tried for the token, of the fitting ones that can have signed it: those with its alg,
// and with its kid or, after them, with none. A token without kid fits all keys with its alg.
func (t parsed) candidates(keys []*key) (tried []*key, fitting int) {
	var others []*key
	for _, k := range keys {
		switch {
		case k.algorithm != t.algorithm:
		case k.id == t.keyID:
			tried = append(tried, k)
		case k.id == "" || t.keyID == "":
			others = append(others, k)
		}
	}
	tried = append(tried, others...)
	return tried[:min(len(tried), maxCandidates)], len(tried)
}

// signer returns the key that signed the token, nil if none of those that are tried did.
func (t parsed) signer(keys []*key) *key {
	tried, _ := t.candidates(keys)
	for _, k := range tried {
		if k.method.Verify(t.signed, t.signature, k.verifying) == nil {
			return k
		}
	}
	return nil
}

// otherPurpose is a claim that says that a token is for something else than access, "" if there is none: issuers sign
// tokens for refreshing, for resetting a password and about a login with the same key (RFC 8725 §2.8, §3.12).
func otherPurpose(claims map[string]json.RawMessage) string {
	// events is in tokens about logouts and other events (RFC 8417 §2.2), the hashes are in ID tokens (OpenID Connect Core
	// §3.3.2.11). Their nonce is no sign: Keycloak before 25 and Casdoor put it into access tokens too.
	for _, name := range []string{"events", "at_hash", "c_hash", "s_hash"} {
		if claims[name] != nil {
			return name
		}
	}
	fold := strings.NewReplacer("_", "", "-", "", " ", "")
	for name, value := range claims {
		switch fold.Replace(strings.ToLower(name)) {
		case "typ", "type", "tokentype", "tokenuse", "use", "purpose", "kind":
			var purpose string
			if json.Unmarshal(value, &purpose) == nil && isOtherPurpose(purpose) {
				return name
			}
		}
	}
	return ""
}

// wordBoundary is where one word of a claim ends without a space: resetPassword.
var wordBoundary = regexp.MustCompile(`([a-z])([A-Z])`)

// isOtherPurpose reports whether a text, such as refresh_token, resetPassword or ID, has a word for a purpose other than
// access. Parts of words do not count: verified_admin is nobody's verification.
func isOtherPurpose(text string) bool {
	text = strings.ToLower(wordBoundary.ReplaceAllString(text, "$1 $2"))
	words := strings.FieldsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	for _, word := range words {
		switch strings.TrimSuffix(word, "token") {
		case "refresh", "offline", "reset", "resetpassword", "passwordreset", "verify", "verification", "activate", "activation",
			"invite", "invitation", "logout", "challenge", "pending", "mfa", "2fa", "otp", "totp":
			return true
		}
	}
	whole := strings.Join(words, "")
	return whole == "id" || whole == "idtoken"
}

// read returns the caller that a payload names. Errors say which claim is wrong, and quote nothing of it.
func (s *source) read(payload []byte) (*Caller, error) {
	claims, err := token.Members(payload)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(claims, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	if err := s.checkOrigin(claims); err != nil {
		return nil, err
	}
	var expires, issued, notBefore int64
	for name, into := range map[string]*int64{"exp": &expires, "iat": &issued, "nbf": &notBefore} {
		if err := token.NumericDate(into, claims[name]); err != nil {
			return nil, fmt.Errorf("%w: %s is not a number of seconds", token.ErrMalformed, name)
		}
	}
	if expires == 0 {
		return nil, fmt.Errorf("%w: exp is missing", token.ErrInvalid)
	}
	if purpose := otherPurpose(claims); purpose != "" {
		return nil, fmt.Errorf("%w: its claim %.64q says that it is for another purpose than access", token.ErrInvalid, purpose)
	}
	c := &Caller{Issuer: s.cfg.Name, ExpiresAt: time.Unix(expires, 0), notBefore: max(issued, notBefore), from: s}
	if c.Subject, err = s.subject(claims); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(c.Issuer + "\x00" + c.Subject))
	copy(c.ID[:], sum[:])
	c.Claims, err = s.told(claims)
	return c, err
}

// checkOrigin checks who issued a token, and for whom.
func (s *source) checkOrigin(claims map[string]json.RawMessage) error {
	var issuer string
	if iss, there := claims["iss"]; there != (s.cfg.Issuer != "") || there && (json.Unmarshal(iss, &issuer) != nil || issuer != s.cfg.Issuer) {
		return fmt.Errorf("%w: iss is not %q", token.ErrInvalid, s.cfg.Issuer)
	}
	aud, there := claims["aud"]
	if !there && len(s.cfg.Audience) == 0 {
		return nil
	}
	var named []string
	if json.Unmarshal(aud, &named) != nil {
		named = make([]string, 1) // RFC 7519 §4.1.3: a single one may stand alone
		if json.Unmarshal(aud, &named[0]) != nil {
			named = nil
		}
	}
	if !slices.ContainsFunc(named, func(a string) bool { return slices.Contains(s.cfg.Audience, a) }) {
		return fmt.Errorf("%w: aud has none of %q", token.ErrInvalid, []string(s.cfg.Audience)) // nor may it, if it is not configured
	}
	return nil
}

// maxSubjectBytes is the longest sub that OpenID Connect Core §2 allows.
const maxSubjectBytes = 255

// subject is the claim that says who the caller is. It is never cut, so that two subjects stay two.
func (s *source) subject(claims map[string]json.RawMessage) (string, error) {
	claim := member(claims, s.cfg.Subject)
	if claim == nil {
		return "", fmt.Errorf("%w: %s is missing", token.ErrInvalid, s.cfg.Subject)
	}
	text, err := scalarOf(claim)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %s is neither a text nor a whole number", token.ErrInvalid, s.cfg.Subject)
	case text == "" || len(text) > maxSubjectBytes || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", fmt.Errorf("%w: %s is not 1 to %d visible ASCII characters", token.ErrInvalid, s.cfg.Subject, maxSubjectBytes)
	}
	return text, nil
}

// maxHeaderBytes bounds the value of a header, in bytes as it is sent: percent-encoded. A longer one is refused rather
// than cut, which could make it that of somebody else.
const maxHeaderBytes = 1024

// told are the claims that services are told, as far as the token has them.
func (s *source) told(claims map[string]json.RawMessage) (all []Claim, err error) {
	for _, claim := range slices.Compact(slices.Sorted(maps.Values(s.cfg.Headers))) {
		value, err := textOf(member(claims, claim))
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %s %w", token.ErrInvalid, claim, err)
		case encodedLen(value) > maxHeaderBytes:
			return nil, fmt.Errorf("%w: %s is longer than %d bytes", token.ErrInvalid, claim, maxHeaderBytes)
		case value != "":
			all = append(all, Claim{claim, value})
		}
	}
	return all, nil
}

// encodedLen is how long a value is once everything but visible ASCII, and %, is percent-encoded.
func encodedLen(value string) int {
	const escaped = len("%00")
	n := 0
	for i := range len(value) {
		if b := value[i]; b <= ' ' || b >= 0x7f || b == '%' {
			n += escaped - 1
		}
		n++
	}
	return n
}

// member is the claim of exactly that name, or else what a path with dots leads to: realm_access.roles.
func member(claims map[string]json.RawMessage, path string) json.RawMessage {
	if value, there := claims[path]; there {
		return value
	}
	first, rest, deeper := strings.Cut(path, ".")
	if !deeper || claims[first] == nil {
		return nil
	}
	below, err := token.Members(claims[first])
	if err != nil {
		return nil
	}
	return member(below, rest)
}

// The values that a claim for a header cannot have.
var (
	errKind  = errors.New("is neither a text, a whole number, true or false, nor a list of these")
	errComma = errors.New("is a list with a comma in one of its texts")
)

// textOf is the value of a claim as text, "" if there is none. A list is joined with commas.
func textOf(value json.RawMessage) (string, error) {
	if len(value) == 0 || string(value) == "null" {
		return "", nil
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return scalarOf(value)
	}
	texts := make([]string, len(list))
	for i, each := range list {
		var err error
		if texts[i], err = scalarOf(each); err != nil {
			return "", err
		}
		if strings.Contains(texts[i], ",") {
			return "", errComma
		}
	}
	return strings.Join(texts, ","), nil
}

func scalarOf(value json.RawMessage) (text string, err error) {
	if json.Unmarshal(value, &text) == nil && string(value) != "null" {
		return text, nil
	}
	written := string(value)
	if _, err := strconv.ParseInt(written, 10, 64); err != nil && written != "true" && written != "false" {
		return "", errKind
	}
	return written, nil
}
