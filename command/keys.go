package command

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/token"
)

type keysCommand struct {
	New keysNewCommand `cmd:"" help:"Create a key that signs tokens, and print what to write into gateway.yaml."`
}

type keysNewCommand struct {
	output

	Algorithm string `default:"HS256" enum:"HS256,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" help:"HS256 (a shared secret), or RS, PS or ES with 256, 384 or 512, or EdDSA (a key pair)."`
	ID        string `help:"The key's id, kid in its tokens (default: key- and the date)."`
	Out       string `placeholder:"FILE" help:"Where to write the key (default: printed for HS256, otherwise ID.pem)."`
}

// secretBytes is the size of a new HS256 secret: more than the 32 bytes that RFC 7518 requires.
const secretBytes = 48

// rsaBits is the size of a new RSA key.
const rsaBits = 3072

// Run creates a key. An existing file is never overwritten.
func (c keysNewCommand) Run(w *env) error {
	if c.ID == "" {
		c.ID = "key-" + time.Now().Format(time.DateOnly)
	}
	if c.Out == "" && c.Algorithm != "HS256" {
		c.Out = c.ID + ".pem"
	}
	if err := c.validate(); err != nil {
		return err
	}
	if c.Algorithm == "HS256" {
		return c.newSecret(w)
	}
	return c.newKeyPair(w)
}

// validate asks authn whether it would accept a key with that id and algorithm.
func (c keysNewCommand) validate() error {
	cfg := authn.DefaultConfig()
	cfg.Algorithm = c.Algorithm
	cfg.Keys = []token.KeyConfig{{ID: c.ID, File: "key.pem"}}
	return cfg.Validate().At("authn").Err()
}

// newSecret prints a shared secret, or writes it to a file.
func (c keysNewCommand) newSecret(w *env) error {
	var random [secretBytes]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	secret := base64.StdEncoding.EncodeToString(random[:])
	if c.Out == "" {
		return c.report(w, newKey{Secret: secret})
	}
	if err := writeNew(c.Out, []byte(secret), 0o600); err != nil {
		return err
	}
	return c.report(w, newKey{Secret: "${file:" + c.Out + "}"})
}

// newKeyPair writes a private key, and next to it the public key for services that verify tokens themselves.
func (c keysNewCommand) newKeyPair(w *env) error {
	private, err := token.GenerateKey(c.Algorithm, rsaBits)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	public := strings.TrimSuffix(c.Out, ".pem") + ".pub.pem"
	if err := writeKeyPair(private, c.Out, public); err != nil {
		return err
	}
	return c.report(w, newKey{File: c.Out, PublicFile: public})
}

// newKey is what a new key is to gateway.yaml, and where its public half is.
type newKey struct {
	ID         string `json:"id"`
	Algorithm  string `json:"algorithm"`
	Secret     string `json:"secret,omitempty"` // itself, or the reference to its file
	File       string `json:"file,omitempty"`
	PublicFile string `json:"public_file,omitempty"`
}

// report prints what to write into gateway.yaml.
func (c keysNewCommand) report(w *env, key newKey) error {
	key.ID, key.Algorithm = c.ID, c.Algorithm
	if c.JSON {
		return c.printJSON(w.stdout, key)
	}
	kind, value := "secret", key.Secret
	if key.File != "" {
		kind, value = "file", key.File
	}
	if err := c.snippet(w, kind, value); err != nil {
		return err
	}
	if key.PublicFile == "" {
		return c.adviseVariable(w)
	}
	_, err := fmt.Fprintf(w.stdout, "# the public key is in %s; the gateway also serves it at /.well-known/jwks.json\n", key.PublicFile)
	return err
}

// adviseVariable says how a secret that was printed stays out of the file.
func (c keysNewCommand) adviseVariable(w *env) error {
	if c.Out != "" {
		return nil
	}
	_, err := io.WriteString(w.stdout, "# better than in the file: set JWT_SECRET to it, and write secret: \"${JWT_SECRET}\"\n")
	return err
}

// snippet prints the lines for gateway.yaml. A file has its algorithm beside it where its kind of key has several.
func (c keysNewCommand) snippet(w *env, kind, value string) error {
	_, err := fmt.Fprintf(w.stdout, "authn:\n  algorithm: %s\n  keys:            # the first signs, all verify: leave the older ones below it until their tokens have expired\n    - id: %s\n      %s: %q\n",
		c.Algorithm, c.ID, kind, value)
	if err == nil && needsAlgorithm(c.Algorithm) {
		_, err = fmt.Fprintf(w.stdout, "      algorithm: %s\n", c.Algorithm)
	}
	return err
}

// needsAlgorithm reports whether a key file alone would be taken for another algorithm.
func needsAlgorithm(algorithm string) bool {
	return algorithm[1] == 'S' && strings.ContainsRune("RP", rune(algorithm[0])) && algorithm != "RS256"
}

// writeKeyPair writes both files or none.
func writeKeyPair(private crypto.Signer, privateFile, publicFile string) error {
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	if err := writeNew(privateFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	err = writeNew(publicFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644)
	if err != nil {
		return errors.Join(err, os.Remove(privateFile))
	}
	return nil
}

// writeNew writes a new file.
func writeNew(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists; keys are never overwritten", name)
	}
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
