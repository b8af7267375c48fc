// Package demo serves the example mini-program in a phone frame, for `wxgate demo` only. What it serves is built from the
// sources of the mini-program by `npm run build` in miniprogram/, and committed.
package demo

import (
	"embed"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
)

//go:embed built
var built embed.FS

// New makes the handler: the page at /, the gateway under /gateway/, and the codes and payments of the WeChat sandbox under
// /sandbox/.
// The page reaches both through this handler, because a gateway has no CORS to offer by default.
func New(gateway, sandbox *url.URL) http.Handler {
	assets, err := fs.Sub(built, "built")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(assets))
	mux.Handle("/gateway/", http.StripPrefix("/gateway", forwardTo(gateway)))
	mux.Handle("POST /sandbox/code", forwardTo(sandbox))
	mux.Handle("POST /sandbox/phone-code", forwardTo(sandbox))
	mux.Handle("POST /sandbox/virtual-pay", forwardTo(sandbox))
	return onlyLoopbackNames(mux)
}

func forwardTo(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
}

// onlyLoopbackNames refuses pages of other names that resolve to this machine (DNS rebinding): the sandbox logs anybody
// in as anybody.
func onlyLoopbackNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if host != "127.0.0.1" && host != "localhost" && host != "::1" {
			http.Error(w, "the demo answers to 127.0.0.1 and localhost only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
