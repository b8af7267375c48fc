package token

import (
	"encoding/json"
	"unicode/utf8"
	"unsafe"
)

// readAny reads a payload of ours however it is written, as the library would have passed it on.
func readAny(data []byte) (Claims, error) {
	payload, c := new(Payload), new(Claims)
	if err := json.Unmarshal(data, payload); err != nil {
		return Claims{}, ErrMalformed
	}
	err := c.read(payload.json)
	return *c, err
}

// readPlain reads a payload that is written as Sign does: no white space, the names that we write, each once and in
// whatever order, texts and whole numbers. It reports whether it was one. Of the others it knows nothing: readAny decides
// on them, and c is then worth nothing. The texts of c are in the memory of data, which nobody may change any more.
func (c *Claims) readPlain(data []byte) bool {
	p := plainReader{rest: unsafe.String(unsafe.SliceData(data), len(data))}
	if !p.skip('{') || !utf8.Valid(data) {
		return false
	}
	for seen := claimSet(0); ; {
		name, ok := p.text()
		if !ok || !p.skip(':') || !seen.add(name) || !c.setPlain(name, &p) {
			return false
		}
		if !p.skip(',') {
			return p.skip('}') && p.rest == ""
		}
	}
}

// claimSet is which claims were read.
type claimSet uint16

// add adds a claim, and reports whether it is one that we write and was not there.
func (s *claimSet) add(name string) bool {
	for i, known := range [...]string{"iss", "store", "sub", "appid", "openid", "unionid", "nickname", "sid", "jti", "iat", "exp"} {
		if name == known {
			bit := claimSet(1) << i
			added := *s&bit == 0
			*s |= bit
			return added
		}
	}
	return false
}

// setPlain reads the value of a claim.
func (c *Claims) setPlain(name string, p *plainReader) bool {
	switch name {
	case "sub":
		return p.integer(&c.UserID)
	case "iat":
		return p.integer(&c.IssuedAt)
	case "exp":
		return p.integer(&c.ExpiresAt)
	}
	value, ok := p.text()
	switch name {
	case "iss":
		c.Issuer = value
	case "store":
		c.Store = value
	case "appid":
		c.AppID = value
	case "openid":
		c.OpenID = value
	case "unionid":
		c.UnionID = value
	case "nickname":
		c.Nickname = value
	case "sid":
		c.SessionID = value
	case "jti":
		c.TokenID = value
	}
	return ok
}

// plainReader reads the pieces of a payload that is plain.
type plainReader struct{ rest string }

// skip skips a character, if it is the next one.
func (p *plainReader) skip(b byte) bool {
	if p.rest == "" || p.rest[0] != b {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// text reads a string without escapes.
func (p *plainReader) text() (string, bool) {
	if !p.skip('"') {
		return "", false
	}
	for i := range len(p.rest) {
		switch b := p.rest[i]; {
		case b == '"':
			text := p.rest[:i]
			p.rest = p.rest[i+1:]
			return text, true
		case b < ' ' || b == '\\':
			return "", false
		}
	}
	return "", false
}

// integer reads plain digits up to maxUserID, without a leading zero.
func (p *plainReader) integer(into *int64) bool {
	const most = len("9007199254740991")
	n, size := int64(0), 0
	for ; size < len(p.rest) && size <= most && '0' <= p.rest[size] && p.rest[size] <= '9'; size++ {
		n = n*10 + int64(p.rest[size]-'0')
	}
	if size == 0 || size > most || n > maxUserID || size > 1 && p.rest[0] == '0' {
		return false
	}
	*into, p.rest = n, p.rest[size:]
	return true
}
