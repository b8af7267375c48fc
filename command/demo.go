package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/config"
	recipes "wxgate/examples/recipes"
	"wxgate/gateway"
	"wxgate/input"
	"wxgate/miniprogram/demo"
	"wxgate/process"
	"wxgate/secret"
	"wxgate/upstream"
)

type demoCommand struct {
	Listen string `placeholder:"HOST:PORT" help:"Loopback address of the gateway (127.0.0.1:8080; with -c, that of the file); if the port is taken, a free one is used."`
	Page   string `placeholder:"HOST:PORT" help:"Loopback address of the page with the example mini-program (127.0.0.1:8081); likewise."`
}

// Validate keeps the demo on this machine: with its WeChat, anyone can log in as anyone.
func (d demoCommand) Validate() error {
	for _, flag := range []struct{ name, address string }{{"--listen", d.Listen}, {"--page", d.Page}} {
		if host, _, err := net.SplitHostPort(flag.address); flag.address != "" && (err != nil || !input.IsLoopback(host)) {
			return fmt.Errorf("%s: %q is not a loopback address such as 127.0.0.1:8080, and in the demo anyone can be anyone", flag.name, flag.address)
		}
	}
	return nil
}

// Run starts a stand-in for WeChat, the recipe service, a gateway in front of it and a page with the example
// mini-program, all on loopback with throwaway keys and data, and prints what to open and what to paste. With -c it
// starts the gateway of that file instead, in front of the services that the file names.
func (d demoCommand) Run(ctx context.Context, w *env) (err error) {
	w.queued(&w.stdout)
	stand, err := newStandIn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stand.close()) }()
	stand.fallbackPort, stand.listen = true, d.Listen
	if !w.named {
		return d.runRecipes(ctx, w, stand)
	}
	if d.Page != "" {
		return errors.New("--page is for the example mini-program, which does not run with -c")
	}
	return stand.serve(ctx, w)
}

// runRecipes runs the demo with the recipe service.
func (d demoCommand) runRecipes(ctx context.Context, w *env, stand *standIn) (err error) {
	listener, err := listen("the recipe service", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // what serves it may have closed it
	cfg := demoConfig(stand.dir, freeOr(cmp.Or(d.Listen, "127.0.0.1:8080")), stand.weChat.URL(), "http://"+listener.Addr().String())
	usersSecret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()+rand.Text()))
	cfg.Authn.OnUser = authn.OnUserConfig{Upstream: "recipes", Path: "/internal/users", Secret: secret.Text(usersSecret)}
	stand.sell(&cfg, "recipes")
	if err := cfg.Validate().Err(); err != nil {
		return err
	}
	queue := w.queued(&w.stderr)
	if queue.Terminal() {
		cfg.Log.Format = "console"
	}
	svc, err := process.Open(ctx, cfg, process.NewLogs(cfg.Log, queue), tourist)
	if err != nil {
		return err
	}
	shop := recipes.Shop{OfferID: sandboxOfferID, Env: 1, Admin: "http://" + svc.AdminAddress()} // for refunds
	service := serveOn(listener, recipes.NewWith(recipes.Options{Shop: shop, UsersSecret: usersSecret}))
	defer func() { err = errors.Join(err, service.Close()) }()
	page, err := startPage(freeOr(cmp.Or(d.Page, "127.0.0.1:8081")), svc.Address(), stand.weChat.URL())
	if err != nil {
		return errors.Join(err, svc.Close())
	}
	defer func() { err = errors.Join(err, page.Close()) }()
	if err := printDemo(w, svc, stand, page.URL(), service.URL()); err != nil {
		return errors.Join(err, svc.Close())
	}
	return svc.Serve(ctx, nil)
}

// demoConfig is the whole configuration of the demo: nothing is read from a file or the environment.
func demoConfig(dir, listen, weChatURL, recipesURL string) config.Config {
	cfg := config.DefaultConfig()
	cfg.Server.Listen, cfg.Server.Admin = listen, "127.0.0.1:0"
	cfg.Server.Timeouts.Drain = 2 * time.Second
	cfg.WeChat = wechat.Config{AppID: sandboxAppID, Secret: sandboxSecret, BaseURL: weChatURL, Timeout: cfg.WeChat.Timeout, Concurrency: cfg.WeChat.Concurrency}
	cfg.Authn.Keys = []token.KeyConfig{{ID: "demo", Secret: secret.Text(rand.Text() + rand.Text())}}
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

// localServer is a running server of the demo.
type localServer struct {
	server   *http.Server
	listener net.Listener
	served   chan error
}

func startServer(what, address string, handler http.Handler) (*localServer, error) {
	ln, err := listen(what, address)
	if err != nil {
		return nil, err
	}
	return serveOn(ln, handler), nil
}

func listen(what, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", what, err)
	}
	return ln, nil
}

func serveOn(ln net.Listener, handler http.Handler) *localServer {
	s := &localServer{
		server:   &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second},
		listener: ln, served: make(chan error, 1),
	}
	go func() { s.served <- s.server.Serve(ln) }()
	return s
}

// startPage serves the example mini-program in a phone frame.
func startPage(listen, gatewayAddress, weChatURL string) (*localServer, error) {
	weChat, err := url.Parse(weChatURL)
	if err != nil {
		return nil, fmt.Errorf("starting the page: %w", err)
	}
	return startServer("the page", listen, demo.New(&url.URL{Scheme: "http", Host: gatewayAddress}, weChat))
}

// URL is the address of the server.
func (s *localServer) URL() string { return "http://" + s.listener.Addr().String() }

// Close stops the server and waits for it.
func (s *localServer) Close() error {
	err := s.server.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// freeOr returns listen, or a free port of its host if the port is taken.
func freeOr(listen string) string {
	ln, err := net.Listen("tcp", listen)
	if err == nil {
		_ = ln.Close() // it was opened only to see whether the port is free
		return listen
	}
	host, _, splitErr := net.SplitHostPort(listen)
	if splitErr != nil {
		return listen
	}
	return net.JoinHostPort(host, "0")
}

// printDemo prints what to open in a browser, and what to paste into another terminal.
func printDemo(w *env, svc *process.Service, stand *standIn, page, service string) error {
	address := svc.Address()
	_, err := fmt.Fprintf(w.stdout, `
wxgate demo: WeChat is played by a sandbox, nothing leaves this machine.

Open %s in a browser: the example mini-program. And http://%s: what the gateway sees of it, the dashboard.
Or paste these into another terminal:

%s%s%s%s
Recipes: /api/v1/recipes. Failures: err-40029, err-45011, slow-2s-dave.
Stop with Ctrl-C.

`, page, svc.AdminAddress(), curlLines(address, stand.dir, config.DefaultConfig().Gateway(), call{path: "/whoami"}),
		saleLines(address, stand.dir, stand.weChat.URL()), deletionLines(address, stand.dir, service), rehearsalLines(stand.weChat.URL()))
	return err
}
