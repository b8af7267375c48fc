package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	recipes "wxgate/examples/recipes"
	"wxgate/gateway"
	"wxgate/miniprogram/demo"
	"wxgate/upstream"
)

type demoCommand struct {
	Listen string `default:"127.0.0.1:8080" help:"Loopback address of the demo; a port that is taken gives way to a free one."`
	Page   string `default:"127.0.0.1:8081" help:"Loopback address of the page with the example mini-program; as above."`
}

// Run starts a stand-in for WeChat, the recipe service, a gateway in front of it and a page with the example
// mini-program, all on loopback with throwaway keys and data, and prints what to open and to paste.
func (d demoCommand) Run(ctx context.Context, w *world) (err error) {
	w.queued(&w.stdout)
	dir, err := os.MkdirTemp("", "wxgate-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	weChat, err := startSandbox()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, weChat.Close()) }()
	service, err := startServer("the recipe service", "127.0.0.1:0", recipes.New())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()

	cfg := demoConfig(dir, freeOr(d.Listen), weChat.URL(), service.URL())
	if faults := cfg.Validate(); len(faults) > 0 {
		return errors.Join(faults...)
	}
	svc, err := openService(ctx, cfg, newLogs(cfg.Log, w.queued(&w.stderr)), inherited{})
	if err != nil {
		return err
	}
	page, err := startPage(freeOr(d.Page), svc.public.Addr().String(), weChat.URL())
	if err != nil {
		return errors.Join(err, svc.close())
	}
	defer func() { err = errors.Join(err, page.Close()) }()
	if err := printDemo(w, svc.public.Addr().String(), weChat.URL(), page.URL(), dir); err != nil {
		return errors.Join(err, svc.close())
	}
	return svc.serve(ctx, func() error { return nil })
}

const demoAppID = "wx0000000000demo00"

// demoSecret is the secret of a mini-program that exists in the sandbox only.
const demoSecret = "sandbox-secret-of-the-demo" //nolint:gosec // see above

func startSandbox() (*sandbox.Sandbox, error) {
	s, err := sandbox.New(sandbox.Config{AppID: demoAppID, Secret: demoSecret})
	if err != nil {
		return nil, err
	}
	return s, s.Start("127.0.0.1:0")
}

// demoConfig is the whole configuration of the demo: nothing is read from a file or the environment.
func demoConfig(dir, listen, weChatURL, recipesURL string) Config {
	cfg := DefaultConfig()
	cfg.Server.Listen, cfg.Server.Admin = listen, "127.0.0.1:0"
	cfg.Server.Timeouts.Drain = 2 * time.Second
	cfg.WeChat = wechat.Config{AppID: demoAppID, Secret: demoSecret, BaseURL: weChatURL, Timeout: cfg.WeChat.Timeout}
	cfg.Authn.Keys = []authn.KeyConfig{{ID: "demo", Secret: authn.Secret(rand.Text() + rand.Text())}}
	cfg.Storage.Badger.Dir = filepath.Join(dir, "data")
	recipesService := upstream.DefaultConfig()
	recipesService.Targets = []upstream.Target{{URL: recipesURL, Weight: 1}}
	cfg.Upstreams = map[string]upstream.Config{"recipes": recipesService}
	cfg.Routes = []gateway.RouteConfig{
		{Path: "/api/v1/recipes", Methods: []string{"GET"}, Upstream: "recipes", Auth: gateway.AuthOptional}, // guests may browse
		{Path: "/api/v1/recipes/:id", Methods: []string{"GET"}, Upstream: "recipes", Auth: gateway.AuthOptional},
		{Path: "/uploads/:name", Methods: []string{"GET"}, Upstream: "recipes", Auth: gateway.AuthNone}, // an <image> sends no token
		{Path: "/api/**", Upstream: "recipes", Auth: gateway.AuthRequired},
		{Path: "/whoami", Upstream: "recipes", Auth: gateway.AuthRequired},
	}
	cfg.Log.Format, cfg.Log.Level = "text", "info"
	return cfg
}

// localServer is one of the demo's own servers, running.
type localServer struct {
	server   *http.Server
	listener net.Listener
	served   chan error
}

func startServer(what, listen string, handler http.Handler) (*localServer, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", what, err)
	}
	s := &localServer{
		server:   &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second},
		listener: ln, served: make(chan error, 1),
	}
	go func() { s.served <- s.server.Serve(ln) }()
	return s, nil
}

// startPage serves the example mini-program in a phone frame.
func startPage(listen, gatewayAddress, weChatURL string) (*localServer, error) {
	weChat, err := url.Parse(weChatURL)
	if err != nil {
		return nil, fmt.Errorf("starting the page: %w", err)
	}
	return startServer("the page", listen, demo.New(&url.URL{Scheme: "http", Host: gatewayAddress}, weChat))
}

// URL is where the server listens.
func (s *localServer) URL() string { return "http://" + s.listener.Addr().String() }

// Close stops the server and waits for it.
func (s *localServer) Close() error {
	err := s.server.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// freeOr is listen, or a free port of its host when the port is taken.
func freeOr(listen string) string {
	ln, err := net.Listen("tcp", listen)
	if err == nil {
		_ = ln.Close() // it was opened to see that it can be
		return listen
	}
	host, _, splitErr := net.SplitHostPort(listen)
	if splitErr != nil {
		return listen
	}
	return net.JoinHostPort(host, "0")
}

// printDemo prints what to open in a browser, and three lines to paste into another terminal. The answer to the login is
// kept in a file, so that the second line finds the token in whatever terminal it is pasted into.
func printDemo(w *world, address, weChat, page, dir string) error {
	login := filepath.Join(dir, "login.json")
	_, err := fmt.Fprintf(w.stdout, `
wxgate demo: WeChat is played by a sandbox, nothing leaves this machine.

Open %[4]s in a browser: the example mini-program. Or paste these into another terminal:

# 1. log in, as a mini-program does with the code of wx.login
curl -sS http://%[1]s/api/v1/auth/wx-login -H 'Content-Type: application/json' -d '{"code":"demo-alice","nickName":"小爱"}' | tee %[2]s

# 2. call the recipe service through the gateway: it learns who is calling
curl -sS http://%[1]s/whoami -H "Authorization: Bearer $(sed 's/.*"access_token":"\([^"]*\)".*/\1/' %[2]s)"

# 3. the same with a forged identity and no token: refused
curl -sS -i http://%[1]s/whoami -H 'X-User-Id: 1'

Recipes: /api/v1/recipes. Other people: demo-bob, demo-carol. Failures: err-40029, err-45011, slow-2s-dave.
The sandbox WeChat can be told to fail, to rehearse bad days: POST %[3]s/sandbox/fail {"api":"jscode2session","rate":0.5,"kinds":["timeout","45011"]}.
Stop with Ctrl-C.

`, address, login, weChat, page)
	return err
}
