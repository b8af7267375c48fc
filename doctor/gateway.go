package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/token"
	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/gateway/certificate/acme"
)

// keysFinding opens the keys as serve would.
func keysFinding(cfg authn.Config) Finding {
	return Finding{"keys", token.CheckKeys(cfg.Algorithm, cfg.Keys).At("authn").Err(), "the first key signs with " + cfg.Algorithm + "; `wxgate keys new` makes another"}
}

// certificatesFinding reads the certificates as serve would.
func certificatesFinding(cfg config.Config) Finding {
	f := Finding{About: "certificates"}
	set, faults := cfg.Server.TLS.Load()
	own, ofAdmin := cfg.Server.AdminTLS.Config().Load()
	faults = append(faults.At("server.tls"), ofAdmin.At("server.admin_tls")...)
	if f.Err = faults.Err(); f.Err == nil {
		f.Err = append(set.Warnings(time.Now(), cfg.Gateway().Hosts()).At("server.tls"), own.Warnings(time.Now(), nil).At("server.admin_tls")...).Err()
	}
	if f.Err != nil {
		f.Advice = "see docs/tls.md"
		return f
	}
	if set.Empty() && cfg.Server.TLS.ACME.Enabled() {
		f.Advice = "an authority issues them"
	}
	for _, each := range append(set.Expiries(), own.Expiries()...) {
		if f.Advice != "" {
			f.Advice += ", "
		}
		f.Advice += each.Name + " until " + each.At.UTC().Format(time.DateOnly)
	}
	return f
}

// authorityFinding asks the authority for its directory, and looks at the folder of what it issues.
func authorityFinding(ctx context.Context, cfg config.Config) Finding {
	section := cfg.Server.TLS.ACME
	f := Finding{About: "ACME", Advice: "the authority answers; it must reach " + strings.Join(section.Domains, ", ") + " here: see docs/tls.md"}
	f.Err = acme.CheckAuthority(ctx, section)
	switch {
	case errors.Is(f.Err, acme.ErrUnknown):
		f.Advice = "set server.tls.acme.eab to the kid and the key that its console shows"
	case f.Err != nil:
		f.Advice = "check server.tls.acme.directory, and let this machine reach it, with CA certificates (SSL_CERT_FILE) and DNS"
	default:
		if f.Err = audit.UnwritableCache(cfg); f.Err != nil {
			f.Advice = audit.FolderAdvice("server.tls.acme.cache")
		}
	}
	return f
}

// issuerFinding fetches the keys of another issuer as serve would.
func issuerFinding(ctx context.Context, cfg issuer.Config) Finding {
	usable, ignored, err := issuer.Fetch(ctx, cfg)
	f := Finding{"issuer " + cfg.Name, err, fmt.Sprintf("has %s for %v", keyCount(usable), cfg)}
	switch {
	case err != nil:
		f.Advice = "let this machine reach " + cfg.JWKS + ", with CA certificates and DNS; it is jwks_uri in ISS/.well-known/openid-configuration"
	case len(ignored) > 0:
		f.Advice += "; ignored: " + strings.Join(ignored, ", ")
	}
	return f
}

// clientsFinding says how clients are told apart, because those that cannot be share a quarter of every limit.
func clientsFinding(cfg config.Config) Finding {
	says := []string{"told apart by user, and without a token by address"}
	switch {
	case cfg.WeChat.CloudRun:
		says = append(says, "the platform says which")
	case len(cfg.Server.WeChatGateway) > 0:
		says = append(says, "微信网关 says which")
	case len(cfg.Server.TrustedProxies) > 0:
		says = append(says, "server.trusted_proxies say which")
	default:
		says = append(says, "all clients behind a proxy on this machine or in a private network count as one, which may hold a quarter of the whole: "+
			"set server.trusted_proxies if there is one")
	}
	if cfg.WeChat.CloudFunctionSecret.Reveal() != "" {
		says = append(says, "calls of the cloud function count as one client until their user is known")
	}
	return Finding{About: "clients", Advice: strings.Join(says, "; ")}
}

func keyCount(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}
