package command

import (
	"strings"

	"wxgate/config"
)

// clientsFinding says how clients are told apart, because those who are not share a quarter of everything.
func clientsFinding(cfg config.Config) finding {
	says := []string{"told apart by user, and without a token by address"}
	switch {
	case cfg.WeChat.CloudRun:
		says = append(says, "the platform says which")
	case len(cfg.Server.TrustedProxies) > 0:
		says = append(says, "server.trusted_proxies say which")
	default:
		says = append(says, "all clients behind a proxy on this machine or in a private network count as one, which may hold a quarter of the whole: "+
			"set server.trusted_proxies if there is one")
	}
	if cfg.WeChat.CloudFunctionSecret.Reveal() != "" {
		says = append(says, "calls of the cloud function count as one client until their user is known")
	}
	return finding{about: "clients", advice: strings.Join(says, "; ")}
}
