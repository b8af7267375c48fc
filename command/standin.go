package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/config"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/pay"
	"wxgate/input"
	"wxgate/secret"
	"wxgate/storage"
)

const (
	sandboxAppID  = "wx0000000000demo00"
	sandboxSecret = "sandbox-secret-of-the-demo" // of a mini-program that exists only in the sandbox
	sandboxKeys   = "keyOfTheSandbox"            // begins the keys of its pushes and payments, so that logs can be searched for all
	sandboxIssuer = "wxgate-sandbox"             // iss of tokens that are valid nowhere else
	sandboxMchID  = "1900000001"                 // a merchant of the sandbox's WeChat Pay
	tourist       = "demo-tourist"               // the person whom a code of touristappid logs in

	sandboxOfficial = "wx0000000000demo01" // whose web pages log people in within WeChat
	sandboxWebsite  = "wx0000000000demo02" // and by a QR code

	sandboxOfferID = "1450000001" // of the recipes that are sold in the sandbox
)

// standIn replaces WeChat, the keys and the store while somebody tries out a gateway. It is thrown away afterwards.
type standIn struct {
	dir          string
	remove       func() error
	weChat       *sandbox.Sandbox
	push         wechat.PushConfig
	payment      wechat.VirtualPaymentConfig // the keys of virtual payment
	apiV3Key     secret.Text                 // of sandboxMchID
	keys         map[string]token.KeyConfig  // by algorithm
	otherSecret  string                      // instead of the secrets of other issuers, whose tokens it refuses so
	addresses    map[string]string           // where to listen instead of an address of the file
	fallbackPort bool                        // use a free port if one is taken
	terminal     bool                        // the log goes to one
	listen       string                      // instead of server.listen; empty: as the file says
}

func newStandIn(ctx context.Context) (*standIn, error) {
	dir, remove, err := throwawayDir(ctx)
	if err != nil {
		return nil, err
	}
	s := &standIn{
		dir: dir, remove: remove, keys: map[string]token.KeyConfig{}, otherSecret: rand.Text() + rand.Text() + rand.Text(), addresses: map[string]string{},
		push:     wechat.PushConfig{Token: secret.Text(sandboxKeys + rand.Text()), AESKey: secret.Text((sandboxKeys + rand.Text() + rand.Text())[:43])},
		payment:  wechat.VirtualPaymentConfig{AppKey: secret.Text(sandboxKeys + rand.Text()), SandboxAppKey: secret.Text(sandboxKeys + rand.Text())},
		apiV3Key: secret.Text((sandboxKeys + rand.Text())[:32]),
	}
	s.weChat, err = sandbox.New(sandbox.Config{
		AppID: sandboxAppID, Secret: sandboxSecret, PushToken: s.push.Token, PushAESKey: s.push.AESKey,
		MchID: sandboxMchID, APIv3Key: s.apiV3Key,
		AppKey: s.payment.AppKey, SandboxAppKey: s.payment.SandboxAppKey,
		OfficialAccount: sandbox.WebAccount{AppID: sandboxOfficial, Secret: sandboxSecret},
		Website:         sandbox.WebAccount{AppID: sandboxWebsite, Secret: sandboxSecret},
	})
	if err == nil {
		err = s.weChat.Start("127.0.0.1:0")
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return s, nil
}

// close stops the sandbox and removes the folder.
func (s *standIn) close() error { return errors.Join(s.weChat.Close(), s.remove()) }

// load reads a team's own gateway.yaml for the sandbox: its server, identity, upstreams, routes, limits and log, but
// nothing that would let a token or a user outlive the sandbox.
func (s *standIn) load(file string, env strictyaml.LookupEnv) (config.Config, error) {
	cfg, _, err := config.Read(file, strictyaml.Reader{Env: env, Unset: unsetInSandbox}, func(cfg *config.Config) input.Faults {
		cfg.PortFromEnvironment(env)
		if err := s.replace(cfg); err != nil {
			return input.Faults{{Message: err.Error()}}
		}
		return cfg.ValidateOpened()
	})
	return cfg, err
}

// unsetInSandbox lets variables and files be missing that the sandbox does not need.
func unsetInSandbox(path, reference string) (string, bool) {
	return "", config.ReplacedInSandbox(path) || strings.Contains(path, ".wechat_pay.") || strings.HasPrefix(reference, "WX_") || reference == "JWT_SECRET"
}

// replace replaces everything that is real in a configuration.
func (s *standIn) replace(cfg *config.Config) error {
	key, err := s.key(cfg.Authn.Algorithm)
	if err != nil {
		return err
	}
	push := wechat.PushConfig{}
	if cfg.WeChat.Push.Upstream != "" {
		push = s.push
		push.Upstream = cfg.WeChat.Push.Upstream
	}
	cfg.Server.Listen, cfg.Server.Admin = s.local(cmp.Or(s.listen, cfg.Server.Listen)), s.local(cfg.Server.Admin)
	cfg.Server.AdminTLS = gateway.DefaultConfig().Server.AdminTLS
	cfg.Server.TLS, cfg.Server.HTTP, cfg.Server.HTTP3 = gateway.DefaultConfig().Server.TLS, "", false // phones that try it do not know a certificate of this machine
	cfg.Server.AdminToken, cfg.Server.Services = "", nil                                              // whoever is on this machine is the operator
	cfg.Server.ProxyProtocol, cfg.Server.Timeouts.Drain = false, 2*time.Second
	cfg.WeChat.AppID, cfg.WeChat.Secret, cfg.WeChat.BaseURL = sandboxAppID, sandboxSecret, s.weChat.URL()
	cfg.WeChat.OpenURL = s.weChat.URL()
	cfg.WeChat.OfficialAccount = ofSandbox(cfg.WeChat.OfficialAccount, sandboxOfficial)
	cfg.WeChat.Website = ofSandbox(cfg.WeChat.Website, sandboxWebsite)
	cfg.WeChat.VirtualPayment = s.paymentOf(cfg.WeChat)
	cfg.WeChat.Apps, cfg.WeChat.Push = nil, push
	cfg.WeChat.CloudRun, cfg.WeChat.CloudFunctionSecret = false, "" // its signature would be valid at the real gateway, too
	cfg.Authn.Issuer, cfg.Authn.Keys, cfg.Authn.AcceptForeign = sandboxIssuer, []token.KeyConfig{key}, false
	cfg.Authn.Issuers = slices.Clone(cfg.Authn.Issuers)
	for i := range cfg.Authn.Issuers {
		if each := &cfg.Authn.Issuers[i]; each.JWKS == "" {
			each.Secret = secret.Text(each.Name + s.otherSecret)
		}
	}
	cfg.Authn.OnUser = authn.OnUserConfig{} // a service would keep users whose ids are those of other people
	if s.fallbackPort && !s.terminal {      // somebody reads what the demo says
		cfg.Log.Format = "text"
	}
	cfg.Storage = storage.DefaultConfig()
	cfg.Storage.Badger.Dir = filepath.Join(s.dir, "data")
	return s.replaceMerchants(cfg)
}

// ofSandbox is an account of web pages that the sandbox knows, with the pages of one that there is.
func ofSandbox(account wechat.WebAccount, appID string) wechat.WebAccount {
	if account.Enabled() {
		account.AppID, account.Secret = appID, sandboxSecret
	}
	return account
}

// replaceMerchants lets the sandbox send the notifications of WeChat Pay.
func (s *standIn) replaceMerchants(cfg *config.Config) error {
	cfg.Routes = slices.Clone(cfg.Routes)
	for i := range cfg.Routes {
		each := &cfg.Routes[i].WeChatPay
		if each.IsZero() {
			continue
		}
		merchant, err := s.weChat.Merchant()
		if err != nil {
			return err
		}
		file := filepath.Join(s.dir, "pub_key.pem")
		if err := os.WriteFile(file, merchant.PublicKey(), 0o600); err != nil {
			return fmt.Errorf("writing the public key of the sandbox's WeChat Pay: %w", err)
		}
		*each = pay.Config{MchID: sandboxMchID, APIv3Key: s.apiV3Key, PublicKeys: []pay.PublicKey{{ID: merchant.PublicKeyID(), File: file}}}
	}
	return nil
}

// sell lets a service of the demo sell by virtual payment: it says what an order is, and hears what was paid.
func (s *standIn) sell(cfg *config.Config, upstream string) {
	cfg.WeChat.Push, cfg.WeChat.VirtualPayment = s.push, s.payment
	cfg.WeChat.Push.Upstream, cfg.WeChat.VirtualPayment.Upstream = upstream, upstream
	cfg.WeChat.VirtualPayment.OfferID, cfg.WeChat.VirtualPayment.Path = sandboxOfferID, "/internal/orders/sign"
}

// paymentOf is the virtual payment of the first mini-program that has one, with keys of the sandbox.
func (s *standIn) paymentOf(cfg wechat.Config) (payment wechat.VirtualPaymentConfig) {
	for _, each := range cfg.Each() {
		if each.VirtualPayment.Enabled() {
			payment = each.VirtualPayment
			payment.AppKey, payment.SandboxAppKey = s.payment.AppKey, s.payment.SandboxAppKey
			return payment
		}
	}
	return payment
}

// key returns a key for an algorithm, the same one at every reload.
func (s *standIn) key(algorithm string) (token.KeyConfig, error) {
	if key, made := s.keys[algorithm]; made {
		return key, nil
	}
	key := token.KeyConfig{ID: "sandbox", Secret: secret.Text(rand.Text() + rand.Text())}
	if slices.Contains(token.PublicAlgorithms(), algorithm) { // Validate refuses every other
		private, err := token.GenerateKey(algorithm, rsaBits)
		if err != nil {
			return key, fmt.Errorf("making a key for the sandbox: %w", err)
		}
		key = token.KeyConfig{ID: "sandbox", File: filepath.Join(s.dir, algorithm+".pem"), Algorithm: algorithm}
		if err := writeKeyPair(private, key.File, key.File+".pub"); err != nil {
			return key, err
		}
	}
	s.keys[algorithm] = key
	return key, nil
}

// local returns the loopback address for an address of the file, the same one at every reload.
func (s *standIn) local(address string) string {
	if instead, known := s.addresses[address]; known {
		return instead
	}
	instead := address
	if _, is, _ := input.Socket(address); is { // the running gateway's own
		instead = gateway.DefaultConfig().Server.Admin
	} else if host, port, err := net.SplitHostPort(address); err == nil && !input.IsLoopback(host) { // Validate refuses what is not an address
		instead = net.JoinHostPort("127.0.0.1", port)
	}
	if s.fallbackPort {
		instead = freeOr(instead)
	}
	s.addresses[address] = instead
	return instead
}

// interrupted is the exit code after a Ctrl-C, as a shell has it: 128 plus the number of SIGINT.
const interrupted = 130

// throwawayDir creates a folder that does not outlive the process: remove removes it, and so does a second Ctrl-C,
// which ends the process in the middle of a stop.
func throwawayDir(ctx context.Context) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "wxgate-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the demo: %w", err)
	}
	removed := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt)
		defer signal.Stop(again)
		select {
		case <-again:
			_ = removeAll(dir) // there is nobody left to tell
			os.Exit(interrupted)
		case <-removed:
		}
	})
	remove = func() error {
		forget()
		defer close(removed)
		return removeAll(dir)
	}
	return dir, remove, nil
}

// removeAll removes a folder in which files may still be created.
func removeAll(dir string) error {
	const attempts = 100
	err := os.RemoveAll(dir)
	for n := 1; err != nil && n < attempts; n++ {
		err = os.RemoveAll(dir)
	}
	return err
}
