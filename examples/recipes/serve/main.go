// Serve runs the recipe service as a program of its own:
//
//	go run ./examples/recipes/serve -listen 127.0.0.1:3000
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"wxgate/examples/recipes"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address to listen on; only the gateway should be able to reach it")
	var signed recipes.Signed
	flag.StringVar(&signed.Header, "signed-header", "", "identity.signed.header of the gateway; then identities without a valid signature are refused")
	flag.StringVar(&signed.Audience, "audience", "recipes", "name of this service among the gateway's upstreams")
	flag.StringVar(&signed.JWKS, "jwks", "http://127.0.0.1:8080/.well-known/jwks.json", "where the gateway publishes its public keys")
	var shop recipes.Shop
	flag.StringVar(&shop.OfferID, "offer", "", "wechat.virtual_payment.offer_id of the gateway; then a recipe is sold")
	flag.IntVar(&shop.Env, "env", 1, "env of virtual payment: 0 production, 1 its sandbox")
	flag.StringVar(&shop.Admin, "admin", "http://127.0.0.1:9090", "the gateway's admin listener, for refunds")
	users := flag.String("users-secret", "", "authn.on_user.secret of the gateway; then it tells of users at /internal/users")
	flag.Parse()
	shop.Token = os.Getenv("RECIPES_TOKEN") // of server.services in gateway.yaml, with may: [sign]
	service := recipes.NewWith(recipes.Options{Shop: shop, UsersSecret: *users})
	if signed.Header != "" {
		service = recipes.Verify(signed, service)
	}
	if err := serve(*listen, service); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// serve answers until the process is told to stop, and then finishes what it has begun.
func serve(listen string, service http.Handler) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	server := &http.Server{Addr: listen, Handler: service, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-stop.Done()
		deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(deadline)
	}()
	slog.Info("listening", "address", listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
