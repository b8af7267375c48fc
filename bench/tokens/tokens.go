// Package tokens makes the bearer tokens of the benchmarks: HS256 for contestants that only verify, logins for those that
// issue their own, and the bad tokens that each must refuse. A file holds one token per line.
package tokens

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Kind is what is right or wrong with a token.
type Kind string

// The kinds. New tokens are as good as Good ones, but so many of them that no cache knows the next one.
const (
	Good         Kind = "good"
	New          Kind = "new"
	BadSignature Kind = "bad-signature"
	Expired      Kind = "expired"
	None         Kind = "none" // alg none, without a signature
)

// File returns the file of a kind below folder.
func File(folder string, kind Kind) string { return filepath.Join(folder, "tokens."+string(kind)) }

// First returns the first token of a file.
func First(folder string, kind Kind) (string, error) {
	text, err := os.ReadFile(File(folder, kind))
	if err != nil {
		return "", fmt.Errorf("reading tokens: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line, nil
}

// Subject returns the claim sub of a token as text, whether it is a string or a number.
func Subject(token string) (string, error) {
	_, payload, err := split(token)
	if err != nil {
		return "", err
	}
	var claims struct {
		Subject json.RawMessage `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", fmt.Errorf("reading a token: %w", err)
	}
	return strings.Trim(string(claims.Subject), `"`), nil
}

// Make returns good tokens of so many users. Their claims are those of a mini-program's gateway.
func Make(secret string, count int, now time.Time) []string {
	list := make([]string, count)
	for i := range list {
		payload := fmt.Sprintf(`{"sub":"u%06d","openid":"oGZUI0%022d","nickname":"小厨师%d","iat":%d,"exp":%d,"jti":"%032x"}`,
			i, i, i, now.Unix()-60, now.Add(7*24*time.Hour).Unix(), uint64(i)*2654435761+12345)
		list[i] = sign([]byte(`{"alg":"HS256","kid":"k1","typ":"JWT"}`), []byte(payload), secret)
	}
	return list
}

// Write writes good tokens, and bad ones made of them, into folder.
func Write(folder, secret string, good []string, now time.Time) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	kinds := map[Kind]func(header, payload []byte) (string, error){
		BadSignature: func(header, payload []byte) (string, error) { return sign(header, payload, secret+"x"), nil },
		Expired: func(header, payload []byte) (string, error) {
			old, err := withClaims(payload, map[string]any{"iat": now.Unix() - 7200, "exp": now.Unix() - 3600})
			return sign(header, old, secret), err
		},
		None: func(_, payload []byte) (string, error) {
			return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + ".", nil
		},
	}
	errs := []error{writeLines(File(folder, Good), good)}
	for kind, change := range kinds {
		bad, err := changeAll(good, change)
		errs = append(errs, err, writeLines(File(folder, kind), bad))
	}
	return errors.Join(errs...)
}

// Mixed is the kind of which a share in percent is New, and the rest Good.
func Mixed(percent int) Kind {
	if percent == 100 {
		return New
	}
	return Kind(fmt.Sprintf("new-%d", percent))
}

// WriteMixed writes count tokens made of the good ones in folder. The share of them that is new differs in jti alone.
func WriteMixed(folder, secret string, count, percent int) error {
	text, err := os.ReadFile(File(folder, Good))
	if err != nil {
		return fmt.Errorf("reading tokens: %w", err)
	}
	good := strings.Fields(string(text))
	mixed := make([]string, count)
	for i := range mixed {
		mixed[i] = good[i%len(good)]
		if (i+1)*percent/100 == i*percent/100 {
			continue
		}
		if mixed[i], err = renewed(mixed[i], secret); err != nil {
			return err
		}
	}
	return writeLines(File(folder, Mixed(percent)), mixed)
}

// renewed returns the token with another jti.
func renewed(token, secret string) (string, error) {
	header, payload, err := split(token)
	if err != nil {
		return "", err
	}
	payload, err = withClaims(payload, map[string]any{"jti": NewID()})
	return sign(header, payload, secret), err
}

// NewID returns an id like those of wxgate's tokens and sessions.
func NewID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return encode(id[:])
}

func changeAll(good []string, change func(header, payload []byte) (string, error)) (changed []string, err error) {
	for _, token := range good {
		header, payload, err := split(token)
		if err != nil {
			return nil, err
		}
		one, err := change(header, payload)
		if err != nil {
			return nil, err
		}
		changed = append(changed, one)
	}
	return changed, nil
}

func writeLines(file string, lines []string) error {
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// withClaims returns payload with some claims replaced. Numbers keep their digits.
func withClaims(payload []byte, replaced map[string]any) ([]byte, error) {
	claims, decoder := map[string]any{}, json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		return nil, fmt.Errorf("reading a token: %w", err)
	}
	for name, value := range replaced {
		claims[name] = value
	}
	return json.Marshal(claims)
}

// split returns the decoded header and payload of a token.
func split(token string) (header, payload []byte, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("a token has 3 parts, not %d", len(parts))
	}
	header, err = base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return nil, nil, fmt.Errorf("reading a token: %w", err)
	}
	payload, err = base64.RawURLEncoding.DecodeString(parts[1])
	return header, payload, err
}

func sign(header, payload []byte, secret string) string {
	signed := encode(header) + "." + encode(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
