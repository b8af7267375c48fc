package tokens

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const secret = "a secret of the tests that is long enough"

// verify is what a service would do with a token.
func verify(token string) error {
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired()).
		Parse(token, func(*jwt.Token) (any, error) { return []byte(secret), nil })
	return err
}

func TestGoodTokensVerifyAndBadOnesDoNot(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := Write(folder, secret, Make(secret, 3, time.Now()), time.Now()); err != nil {
		t.Fatal(err)
	}
	for kind, good := range map[Kind]bool{Good: true, BadSignature: false, Expired: false, None: false} {
		token, err := First(folder, kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(token); (err == nil) != good {
			t.Errorf("got %v, want good to be %t, for a token of kind %s", err, good, kind)
		}
		if subject, err := Subject(token); subject != "u000000" {
			t.Errorf("got subject %q, %v, want u000000, for kind %s", subject, err, kind)
		}
	}
}

func TestNewTokensAreGoodAndAllDiffer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	good := sign([]byte(`{"alg":"HS256"}`), fmt.Appendf(nil, `{"sub":9007199254740991,"jti":"a","exp":%d}`, time.Now().Add(time.Hour).Unix()), secret)
	if err := Write(folder, secret, []string{good}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := WriteMixed(folder, secret, 50, 100); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(File(folder, New))
	if err != nil {
		t.Fatal(err)
	}
	fresh := strings.Fields(string(text))
	for _, token := range fresh {
		subject, _ := Subject(token)
		if err := verify(token); err != nil || subject != "9007199254740991" {
			t.Fatalf("got %v, subject %s, for %s", err, subject, token)
		}
	}
	slices.Sort(fresh)
	if n := len(slices.Compact(fresh)); n != 50 {
		t.Errorf("got %d different tokens, want 50", n)
	}
}

func TestAMixHasItsShareOfNewTokens(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	good := Make(secret, 2, time.Now())
	if err := Write(folder, secret, good, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := WriteMixed(folder, secret, 80, 25); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(File(folder, Mixed(25)))
	if err != nil {
		t.Fatal(err)
	}
	fresh := 0
	for _, token := range strings.Fields(string(text)) {
		if !slices.Contains(good, token) {
			fresh++
		}
	}
	if fresh != 20 {
		t.Errorf("got %d new tokens of 80, want 20", fresh)
	}
}

func TestALoginThatFailsIsReportedWithItsAnswer(t *testing.T) {
	t.Parallel()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/auth/wx-login" {
			http.Error(w, "wechat is away", http.StatusBadGateway)
		}
	}))
	defer gateway.Close()
	_, err := LogIn(t.Context(), netip.MustParseAddrPort(strings.TrimPrefix(gateway.URL, "http://")), 2)
	if err == nil || !strings.Contains(err.Error(), "502 Bad Gateway: wechat is away") {
		t.Errorf("got %v, want the answer in it", err)
	}
}
