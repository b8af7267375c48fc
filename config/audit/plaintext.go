package audit

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"wxgate/config"
	"wxgate/input"
)

// plaintext are warnings about what travels over the internet unencrypted.
func plaintext(cfg config.Config) (ws input.Warnings) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		for i, target := range cfg.Upstreams[name].Targets {
			if crossesInternet(target.URL) {
				ws.Warn("upstream-plaintext", fmt.Sprintf("upstreams.%s.targets[%d]", name, i), "%s is a public address without TLS: tokens and users' data can be read "+
					"and changed on the way. Write https://, or an address of the private network", target.URL)
			}
		}
	}
	if crossesInternet(cfg.WeChat.BaseURL) {
		ws.Warn("wechat-plaintext", "wechat.base_url", "%s is a public address without TLS: the AppSecret and session_keys can be read on the way. Write https://", cfg.WeChat.BaseURL)
	}
	return ws
}

// crossesInternet reports whether a URL is http:// and its host is a public address, or a name below a public suffix such
// as .com or .com.cn.
func crossesInternet(target string) bool {
	at, err := url.Parse(target)
	if err != nil || at.Scheme != "http" {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(at.Hostname(), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return isPublicAddress(ip)
	}
	suffix, official := publicsuffix.PublicSuffix(host)
	return official && suffix != host && strings.Contains(host, ".")
}
