// Command bench compares wxgate with its peers, and measures how its costs grow. Contestants run on one CPU; the load
// generator, the service behind them and the sandbox that plays WeChat on another. Contestants are measured in short
// slices, one right after the other, and compared slice by slice, so that whatever the machine does meanwhile hits all.
//
//	bench peers     wxgate beside HAProxy, nginx and others
//	bench growth    routes, users, revocations, connections and others, from few to many
//	bench logins    logins, by the number of clients and by how slow WeChat is
//	bench tls       wxgate, HAProxy and Caddy over TLS: http/1.1, HTTP/2 and handshakes
//	bench guard     what moved since bench/baseline.json
//	bench pages     the manual anew, from the samples of earlier runs
//
// `bench peers -h` lists the flags. The make targets of the same names build and install what is needed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"wxgate/authn/wechat/sandbox"
	"wxgate/bench/load"
	"wxgate/bench/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is main without the process.
func run(ctx context.Context, arguments []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(arguments) == 0 {
		return errors.New("want peers, growth, logins, tls, guard or pages")
	}
	command, rest := arguments[0], arguments[1:]
	switch command {
	case "load":
		return runLoad(ctx, rest[0], stdin, stdout)
	case "service":
		return runService(ctx, rest)
	case "wechat":
		return runWeChat(ctx, rest[0])
	}
	benchmark := map[string]func(context.Context, *settings, *rig) error{
		"peers": peers, "growth": growth, "logins": logins, "guard": guard, "tls": overTLS,
	}[command]
	if benchmark == nil && command != "pages" {
		return fmt.Errorf("there is no %q: want peers, growth, logins, tls, guard or pages", command)
	}
	s, err := parse(command, rest, stdout, stderr)
	if err != nil {
		return err
	}
	if command == "pages" {
		return pages(s)
	}
	r, err := newRig(ctx, s)
	if err != nil {
		return err
	}
	defer r.close()
	return benchmark(ctx, s, r)
}

// runLoad is the load generator: one measurement, given and answered as JSON. Connections are held until stdin ends.
func runLoad(ctx context.Context, text string, stdin io.Reader, stdout io.Writer) error {
	var cfg load.Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return err
	}
	answer := json.NewEncoder(stdout)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	held := func(r load.Result) {
		_ = answer.Encode(r)
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}
	result, err := load.Run(ctx, cfg, held)
	if err != nil || cfg.Pace == load.Hold {
		return err
	}
	return answer.Encode(result)
}

// runService is the service behind the contestants.
func runService(ctx context.Context, addresses []string) error {
	list := make([]netip.AddrPort, len(addresses))
	for i, address := range addresses {
		var err error
		if list[i], err = netip.ParseAddrPort(address); err != nil {
			return err
		}
	}
	return service.Run(ctx, list...)
}

// runWeChat is the sandbox of the mini-program in config/gateway.yaml, for as many logins as anybody wants.
func runWeChat(ctx context.Context, address string) error {
	weChat, err := sandbox.New(sandbox.Config{AppID: "wx0000000000000000", Secret: "secret-of-the-benchmark", MinuteQuota: -1})
	if err != nil {
		return err
	}
	if err := weChat.Start(address); err != nil {
		return err
	}
	<-ctx.Done()
	return weChat.Close()
}
