// Package contestants knows the gateways that the benchmarks compare: how each is configured, started, checked and
// stopped. A contestant does the same job: verify the bearer token (HS256, exp), refuse bad ones with 401, replace the
// client's X-User-Id by the token's subject, forward over connections that are kept alive.
package contestants

import "embed"

//go:embed config
var templates embed.FS

// Reference is the contestant to which others are compared.
const Reference = "haproxy-lean"

// Contestant is one gateway with one configuration.
type Contestant struct {
	Name    string            // in plans and tables
	About   string            // in the manual
	Files   map[string]string // name in its folder -> template in config/
	Command []string          // template of each argument
	Open    bool              // it verifies no token
	Issues  bool              // it is a wxgate, which logs its own users in
	CPUs    string            // the CPUs it may use, as taskset wants them; empty: the one of the gateways
	Options Options
}

// Options are what templates of wxgate can vary. The zero value is wxgate as shipped.
type Options struct {
	NoLog   bool     // without the access log
	Raised  bool     // bounds that admit tens of thousands of connections
	Routes  int      // so many routes more
	Targets []string // of the upstream, URLs; empty: the service
	Data    string   // its data folder; empty: a new one
	TLS     bool     // with cert.pem and key.pem, or both.pem, of Place.Folder; also of HAProxy and Caddy
}

// All returns the contestants of bench-peers, the floor first.
func All() []Contestant {
	haproxy := []string{"haproxy", "-q", "-db", "-f", "{{.Folder}}/haproxy.cfg"}
	nginx := []string{"nginx", "-p", "{{.Folder}}", "-c", "{{.Folder}}/nginx.conf"}
	return []Contestant{
		{
			Name: "relay", About: "the floor: copies bytes between sockets (C, epoll), knows no HTTP", Open: true,
			Command: []string{"{{.Bin}}/relay", "{{.Port}}", "{{.ServicePort}}"},
		},
		{
			Name: "nginx", About: "nginx, verifies nothing", Open: true,
			Files: map[string]string{"nginx.conf": "nginx.conf"}, Command: nginx,
		},
		{
			Name: "haproxy", About: "HAProxy, verifies nothing", Open: true,
			Files: map[string]string{"haproxy.cfg": "haproxy.cfg"}, Command: haproxy,
		},
		{
			Name: Reference, About: "HAProxy with jwt_verify and the fewest rules that do the job: the reference",
			Files: map[string]string{"haproxy.cfg": "haproxy-lean.cfg"}, Command: haproxy,
		},
		{
			Name: "nginx-lua", About: "nginx with a Lua script that verifies the token",
			Files: map[string]string{"nginx.conf": "nginx-lua.conf", "jwt.lua": "jwt.lua"}, Command: nginx,
		},
		{
			Name: "stdlib", About: "net/http's ReverseProxy with golang-jwt, written in an afternoon",
			Command: []string{"{{.Bin}}/stdlib", "-listen", "127.0.0.1:{{.Port}}", "-service", "{{.Service}}", "-secret", "{{.Secret}}"},
		},
		{
			Name: "caddy", About: "Caddy with a JWT handler (golang-jwt) in front of reverse_proxy",
			Files:   map[string]string{"caddy.json": "caddy.json"},
			Command: []string{"{{.Bin}}/caddy", "run", "--config", "{{.Folder}}/caddy.json"},
		},
		WXGate("wxgate", "wxgate as shipped", Options{}),
		WXGate("wxgate-nolog", "wxgate without its access log, which the others do not write either", Options{NoLog: true}),
	}
}

// WXGate returns a wxgate with some options.
func WXGate(name, about string, options Options) Contestant {
	return Contestant{
		Name: name, About: about, Issues: true, Options: options,
		Files:   map[string]string{"gateway.yaml": "gateway.yaml"},
		Command: []string{"{{.WXGate}}", "serve", "-c", "{{.Folder}}/gateway.yaml"},
	}
}

// Before returns the wxgate that another one is compared with, as shipped.
func Before() Contestant {
	c := WXGate("wxgate-before", "wxgate before the change", Options{})
	c.Command[0] = "{{.Before}}"
	return c
}
