// Command sandbox is the world around the gateway in the end-to-end tests of the mini-program: a stand-in for WeChat and
// the recipe service, both on loopback. Its argument is the admin listener that the gateway will have. It prints one line of JSON with their addresses, reads one line with the address
// of the gateway, prints one line with the address of the demo in front of it, and ends when stdin does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"

	"wxgate/authn/wechat/sandbox"
	"wxgate/examples/recipes"
	"wxgate/miniprogram/demo"
)

const offerID = "1450000001"

func main() {
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

func run(admin string, stdin io.Reader, stdout io.Writer) error {
	weChat, err := sandbox.New(sandbox.Config{
		AppID: "wx0000000000demo00", Secret: "sandbox-secret-of-the-tests",
		PushToken: "push-token-of-the-tests", PushAESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
		OfferID: offerID, SandboxAppKey: "app-key-of-the-tests",
	})
	if err != nil {
		return err
	}
	if err := weChat.Start("127.0.0.1:0"); err != nil {
		return err
	}
	defer weChat.Close()
	service := httptest.NewServer(recipes.NewWith(recipes.Options{Shop: recipes.Shop{OfferID: offerID, Env: 1, Admin: admin}}))
	defer service.Close()
	say := json.NewEncoder(stdout)
	if err := say.Encode(map[string]string{"wechat": weChat.URL(), "recipes": service.URL}); err != nil {
		return err
	}
	lines := bufio.NewReader(stdin)
	page, err := startDemo(lines, weChat.URL())
	if err != nil {
		return err
	}
	defer page.Close()
	if err := say.Encode(map[string]string{"demo": page.URL}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, lines)
	return err
}

func startDemo(lines *bufio.Reader, weChatURL string) (*httptest.Server, error) {
	line, err := lines.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("reading the address of the gateway: %w", err)
	}
	gateway, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		return nil, err
	}
	weChat, err := url.Parse(weChatURL)
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(demo.New(gateway, weChat)), nil
}
