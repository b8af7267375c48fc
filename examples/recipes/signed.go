package recipes

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Signed says how to check the proof that the gateway adds with identity.signed. Then a request is believed because of a
// signature, and no longer only because nobody else can reach this service.
type Signed struct {
	Header   string // as in identity.signed.header
	Audience string // the name of this service among the gateway's upstreams
	JWKS     string // http://gateway/.well-known/jwks.json
}

// Verify wraps a handler: requests whose proof does not hold, or does not name the user that X-User-Id names, are 401.
// Requests without X-User-Id are of nobody and pass.
func Verify(cfg Signed, next http.Handler) http.Handler {
	v := &verifier{cfg: cfg, client: &http.Client{Timeout: 5 * time.Second}, now: time.Now}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get("X-User-Id"); id != "" {
			if err := v.check(r.Context(), r.Header.Get(cfg.Header), id); err != nil {
				http.Error(w, "identity not proven", http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

type verifier struct {
	cfg    Signed
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex
	keys map[string]ed25519.PublicKey
}

// check is what any JWT library does with a public key; it is spelled out to show how little that is.
func (v *verifier) check(ctx context.Context, token, userID string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("no signed identity")
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := errors.Join(decodeSegment(parts[0], &header), decodeSegment(parts[1], &claims)); err != nil {
		return err
	}
	key, err := v.key(ctx, header.Kid)
	if err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || header.Alg != "EdDSA" || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
		return errors.New("the signature does not hold")
	}
	if claims.Aud != v.cfg.Audience || claims.Sub != userID || v.now().Unix() >= claims.Exp {
		return errors.New("the identity is not for this request")
	}
	return nil
}

func decodeSegment(segment string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// key returns the gateway's public key of that id; an unknown one is looked for once more, because keys rotate.
func (v *verifier) key(ctx context.Context, id string) (ed25519.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if key, known := v.keys[id]; known {
		return key, nil
	}
	keys, err := v.fetch(ctx)
	if err != nil {
		return nil, err
	}
	v.keys = keys
	if key, known := keys[id]; known {
		return key, nil
	}
	return nil, fmt.Errorf("the gateway has no key %q", id)
}

func (v *verifier) fetch(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.cfg.JWKS, nil)
	if err != nil {
		return nil, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ Kid, Crv, X string }
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<10)).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		if x, err := base64.RawURLEncoding.DecodeString(k.X); err == nil && k.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			keys[k.Kid] = x
		}
	}
	return keys, nil
}
