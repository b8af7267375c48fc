package main

// port is a number from 0 to 65535.
const port = `(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])`

// target is how a service is reached.
const target = `^(https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:` + port + `)?/?|unix:/.+)$`

// patterns are those of texts whose form the checker wants, by their path.
func patterns() map[string]string {
	const appID, listener, absolute = `^(wx[0-9a-f]{16})?$`, `^(.*:` + port + `)?$`, `^(/.*)?$`
	return map[string]string{
		"wechat.appid":                  appID,
		"wechat.apps[].appid":           appID,
		"server.listen":                 listener,
		"server.http":                   listener,
		"server.admin":                  `^(.*:` + port + `|unix:/.+)?$`,
		"routes[].path":                 `^/[^{}<>\[\]?#\\*]*$|^/([^{}<>\[\]?#\\*]*/)?\*\*$`,
		"routes[].upstream":             `^[^/:]*$`,
		"routes[].strip_prefix":         absolute,
		"routes[].rewrite":              absolute,
		"upstreams.*.health.path":       absolute,
		"wechat.virtual_payment.path":   absolute,
		"authn.on_user.path":            absolute,
		"wechat.base_url":               `^https?://`,
		"authn.issuers[].jwks":          `^(https?://.*)?$`,
		"upstreams.*.targets[].url":     target,
		"wechat.push.aes_key":           `^([A-Za-z0-9]{43})?$`,
		"wechat.apps[].push.aes_key":    `^([A-Za-z0-9]{43})?$`,
		"authn.set_cookie":              `^[^ =;,]*$`,
		"server.tls.acme.domains[]":     `^[^/: ]+$`,
		"wechat.official_account.appid": appID,
		"wechat.website.appid":          appID,
		"tracing.otlp":                  `^(https?://[^@?#]+)?$`,
	}
}

// required are the keys that a section cannot be without.
func required(path string) []string {
	return map[string][]string{
		"routes[]":          {"path"},
		"authn.issuers[]":   {"name"},
		"wechat.apps[]":     {"appid", "secret"},
		"server.services[]": {"name", "token", "may"},
	}[path]
}

// needs are the keys without which another one says nothing.
func needs(path string) map[string][]string {
	pair := map[string][]string{"cert": {"key"}, "key": {"cert"}}
	return map[string]map[string][]string{
		"server.tls":          pair,
		"server.admin_tls":    pair,
		"upstreams.*.tls":     pair,
		"server.tls.acme":     {"email": {"domains"}, "directory": {"domains"}, "eab": {"domains"}},
		"server.cors":         {"credentials": {"origins"}, "methods": {"origins"}, "headers": {"origins"}},
		"routes[].rate_limit": {"rate": {"per", "burst"}, "quota": {"per"}},
	}[path]
}

// beyond are bounds that the checker says only of what is right otherwise.
func beyond() map[string]bounds {
	one, thousand := int64(1), int64(1000)
	return map[string]bounds{"upstreams.*.targets[].weight": {&one, &thousand}}
}

// beside are forms that keys with a choice take as well, by their path.
func beside() map[string]string {
	return map[string]string{"identity.headers.*": `^literal:.`}
}
