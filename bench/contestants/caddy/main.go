// Command caddy is Caddy with its reverse proxy and a handler that verifies bearer tokens with golang-jwt. Caddy itself
// has none, so it is the shortest that does the job of the benchmarks.
package main

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/golang-jwt/jwt/v5"
)

func main() {
	caddy.RegisterModule(new(bearer))
	caddycmd.Main()
}

// bearer lets requests with a good HS256 token pass, and puts its subject into X-User-Id.
type bearer struct {
	Secret string `json:"secret"`
	parser *jwt.Parser
}

// CaddyModule says by which name the configuration knows it.
func (*bearer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bearer", New: func() caddy.Module { return new(bearer) }}
}

// Provision is called when the configuration was read.
func (b *bearer) Provision(caddy.Context) error {
	b.parser = jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	return nil
}

func (b *bearer) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	subject := b.verify(r.Header.Get("Authorization"))
	if subject == "" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, err := w.Write([]byte(`{"code":401,"message":"unauthorized","error":"Unauthorized"}`))
		return err
	}
	r.Header.Set("X-User-Id", subject)
	return next.ServeHTTP(w, r)
}

// verify returns the subject of a good token, or "".
func (b *bearer) verify(authorization string) string {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return ""
	}
	claims := jwt.MapClaims{}
	if _, err := b.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(b.Secret), nil }); err != nil {
		return ""
	}
	subject, _ := claims["sub"].(string)
	return subject
}
