// Command stdlib is the gateway that one writes in an afternoon: net/http's ReverseProxy and golang-jwt.
package main

import (
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "address to listen on")
	service := flag.String("service", "127.0.0.1:9000", "address to forward to")
	secret := flag.String("secret", "", "HMAC key of the tokens")
	flag.Parse()
	server := &http.Server{
		Addr: *listen, Handler: newGateway(*service, []byte(*secret)),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 120 * time.Second,
	}
	slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("stopped", "error", server.ListenAndServe())
	os.Exit(1)
}

// gateway forwards requests with a good token.
type gateway struct {
	proxy  *httputil.ReverseProxy
	parser *jwt.Parser
	secret []byte
}

func newGateway(service string, secret []byte) *gateway {
	to := &url.URL{Scheme: "http", Host: service}
	return &gateway{
		secret: secret,
		parser: jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired()),
		proxy: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
			Transport: &http.Transport{
				MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
			},
		},
	}
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	subject, ok := g.verify(r.Header.Get("Authorization"))
	if !ok {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"code":401,"message":"unauthorized","error":"Unauthorized"}`)
		return
	}
	r.Header.Set("X-User-Id", subject)
	g.proxy.ServeHTTP(w, r)
}

// verify returns the subject of a good token.
func (g *gateway) verify(authorization string) (subject string, ok bool) {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return "", false
	}
	claims := jwt.MapClaims{}
	if _, err := g.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return g.secret, nil }); err != nil {
		return "", false
	}
	subject, _ = claims["sub"].(string)
	return subject, subject != ""
}
