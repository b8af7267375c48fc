package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"wxgate/authn/token"
	"wxgate/config"

	"github.com/golang-jwt/jwt/v5"
)

type tokenCommand struct {
	Inspect tokenInspectCommand `cmd:"" help:"Show what a token contains, trusting none of it, and whether its signature is valid."`
}

type tokenInspectCommand struct {
	output

	Token string `arg:"" default:"-" help:"The token; - reads standard input, which keeps it out of the shell's history."`
}

// inspection is the content of a token without its signature, so that what is printed is no credential.
type inspection struct {
	Header    map[string]any `json:"header"`
	Claims    map[string]any `json:"claims"`
	Signature verdict        `json:"signature"`
}

// verdict says whether a signature is valid.
type verdict struct {
	Valid  bool   `json:"valid"`
	Key    string `json:"key,omitempty"`    // id of the key that signed
	Detail string `json:"detail,omitempty"` // why it is not valid, or was not checked
}

func (v verdict) String() string {
	if v.Valid && v.Detail == "" {
		return fmt.Sprintf("matches key %q; only the gateway knows whether the session has ended", v.Key)
	}
	return v.Detail
}

// Run prints what a token contains. It verifies the signature if the configuration can be read.
func (c tokenInspectCommand) Run(w *env) error {
	token, err := c.read(w.stdin)
	if err != nil {
		return err
	}
	parsed, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		return errors.New("this is not a JWT: three base64url parts with dots between them, the first two of them JSON")
	}
	claims, _ := parsed.Claims.(jwt.MapClaims)
	seen := inspection{parsed.Header, claims, verifyToken(token, w)}
	return c.print(w.stdout, seen, func(t *table) { seen.write(t, time.Now()) })
}

// longestToken is the most that is read, in bytes; the gateway accepts 4096.
const longestToken = 1 << 20

// read accepts a token as people have it at hand: with Bearer before it, quotes around it, a newline after it.
func (c tokenInspectCommand) read(stdin io.Reader) (string, error) {
	text := c.Token
	if text == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, longestToken))
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		text = string(data)
	}
	return bareToken(text), nil
}

// bareToken strips what people copy along with a token.
func bareToken(text string) string {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	if scheme, token, found := strings.Cut(text, " "); found && strings.EqualFold(scheme, "Bearer") {
		text = token
	}
	return strings.TrimSpace(text)
}

func (i inspection) write(t *table, now time.Time) {
	for _, part := range []struct {
		name   string
		values map[string]any
	}{{"header", i.Header}, {"claim", i.Claims}} {
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			t.row(part.name, name, readableClaim(name, part.values[name], now))
		}
	}
	t.row("signature", "", i.Signature)
}

// readableClaim formats times (RFC 7519 §4.1) for people, and everything else as in the JSON.
func readableClaim(name string, value any, now time.Time) string {
	number, isNumber := value.(json.Number)
	seconds, err := number.Int64()
	if isNumber && err == nil && slices.Contains([]string{"exp", "iat", "nbf"}, name) {
		at := time.Unix(seconds, 0)
		return fmt.Sprintf("%s (%s)", readableTime(at), fromNow(at.Sub(now)))
	}
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	return cmp.Or(string(text), fmt.Sprint(err))
}

func fromNow(d time.Duration) string {
	const day = 24 * time.Hour
	far, text := d.Abs(), ""
	switch {
	case far < time.Second:
		return "now"
	case far < 2*day:
		text = far.Round(time.Second).String()
	default:
		text = fmt.Sprintf("%d days", far.Round(day)/day)
	}
	if d < 0 {
		return text + " ago"
	}
	return "in " + text
}

// verifyToken checks the signature of a token with the keys of the configuration, and nothing else: the gateway is much
// stricter.
func verifyToken(text string, w *env) verdict {
	cfg, err := config.Load(w.config, w.lookup)
	if err != nil {
		return verdict{Detail: fmt.Sprintf("not checked: %s could not be read (see `wxgate check`)", w.config)}
	}
	return signatureOf(text, cfg.Authn.Keys, w.config)
}

// signatureOf says which of the keys of a file signed a token.
func signatureOf(text string, keys []token.KeyConfig, file string) verdict {
	for _, key := range keys {
		if key.Signed(text) {
			return verdict{Valid: true, Key: key.ID}
		}
	}
	return verdict{Detail: "matches no key in " + file}
}
