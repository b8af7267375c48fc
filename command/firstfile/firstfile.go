// Package firstfile writes a first gateway.yaml from a few answers, in English or Chinese.
package firstfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/config/strictyaml"
	"wxgate/input"
)

// The answers of those who know no other.
const (
	DefaultUpstream = "http://127.0.0.1:3000"
	DefaultLogin    = "/api/**"
	DefaultFront    = "127.0.0.1"
)

// Answers are what the file is made of.
type Answers struct {
	AppID    string
	Upstream string   // where the service listens
	Login    []string // paths that need a login
	Open     []string // paths that need none
	Front    string   // what phones reach first: a domain, the addresses of proxies, or cloudrun
}

// List is an answer of several words.
func List(answer string) (all []string) {
	for part := range strings.FieldsFuncSeq(answer, func(r rune) bool { return r == ',' || r == '，' || r == ' ' }) {
		all = append(all, part)
	}
	return all
}

// Fault is what check would say against the file of the answers so far, questions to come having their defaults; empty:
// nothing.
func (a Answers) Fault(words Words) string {
	so := a
	so.Upstream, so.Front = cmp.Or(so.Upstream, DefaultUpstream), cmp.Or(so.Front, DefaultFront)
	if len(so.Login) == 0 {
		so.Login = []string{DefaultLogin}
	}
	dir, err := os.MkdirTemp("", "wxgate-init-")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(file, []byte(so.File(words)), 0o600); err != nil {
		return err.Error()
	}
	return so.judge(file)
}

func (a Answers) judge(file string) string {
	if a.AppID == "" {
		return "want wx and 16 of the characters 0 to 9 and a to f"
	}
	cfg, origin, err := config.LoadWithFiles(file, a.lookup)
	if faults, is := errors.AsType[strictyaml.Faults](err); is {
		return faults[0].Message
	}
	if err != nil {
		return err.Error()
	}
	for _, f := range audit.Settings(cfg, origin) {
		if f.Severity.AtLeast(audit.Warning) {
			return f.Message
		}
	}
	return ""
}

// lookup has what the file takes from the environment.
func (a Answers) lookup(name string) (string, bool) {
	if strings.HasPrefix(name, "MYSQL_") && a.front().cloudRun {
		return "wxgate", true
	}
	value, ok := map[string]string{
		"WX_SECRET": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "JWT_SECRET": "q2Zr7uXv0Yt5Wn8Kc3Lm6Pb9Hd4Fg1Js", "STORAGE_KEY": "cTJacjd1WHYwWXQ1V244S2MzTG02UGI5SGQ0RmcxSnM=",
	}[name]
	return value, ok
}

// front is what phones reach first.
type front struct {
	cloudRun bool
	domain   string   // empty: something else has it
	proxies  []string // addresses and networks
}

func (a Answers) front() front {
	if strings.EqualFold(strings.ReplaceAll(a.Front, "-", ""), "cloudrun") || a.Front == "微信云托管" {
		return front{cloudRun: true}
	}
	proxies := List(a.Front)
	for _, each := range proxies {
		_, err := netip.ParseAddr(each)
		if _, network := netip.ParsePrefix(each); err != nil && network != nil {
			return front{domain: strings.TrimSuffix(strings.TrimPrefix(a.Front, "https://"), "/")}
		}
	}
	return front{proxies: proxies}
}

// onThisMachine reports whether all proxies are.
func (f front) onThisMachine() bool {
	for _, each := range f.proxies {
		if !input.IsLoopback(each) {
			return false
		}
	}
	return true
}

// SchemaName is the file beside the configuration by which editors complete it.
const SchemaName = "gateway.schema.json"

// File is the configuration of the answers, with the line at its top by which editors find the schema (a modeline).
func (a Answers) File(words Words) string {
	var text strings.Builder
	line := func(yaml, comment string) {
		_, _ = fmt.Fprintf(&text, "%-48s # %s\n", yaml, comment)
	}
	in := a.front()
	_, _ = fmt.Fprintf(&text, "# yaml-language-server: $schema=%s\n# %s\n\n", SchemaName, words.header)
	line("server:", words.server)
	switch {
	case in.cloudRun:
		line("  timeouts: { request: 14s, drain: 14s }", words.cloudRunTimeouts)
	case in.domain != "":
		line(`  listen: ":443"`, words.listenTLS)
		line(`  http: ":80"`, words.redirects)
		line("  tls: { acme: { domains: ["+quoted(in.domain)+"] } }", words.acme)
	default:
		listen := `  listen: ":8080"`
		if in.onThisMachine() {
			listen = `  listen: "127.0.0.1:8080"`
		}
		line(listen, words.listen)
		var proxies []string
		for _, each := range in.proxies {
			proxies = append(proxies, quoted(each))
		}
		line("  trusted_proxies: ["+strings.Join(proxies, ", ")+"]", words.proxies)
	}
	text.WriteString("\n")
	line("wechat:", words.wechat)
	line("  appid: "+quoted(a.AppID), words.appID)
	line(`  secret: "${WX_SECRET}"`, words.secret)
	if in.cloudRun {
		line("  cloud_run: true", words.cloudRun)
	}
	text.WriteString("\n")
	line("authn:", words.authn)
	line(`  keys: [{ id: main, secret: "${JWT_SECRET}" }]`, words.keys)
	text.WriteString("\n")
	if in.cloudRun {
		line("storage:", words.storage)
		line("  driver: mysql", words.mysql)
		line(`  encryption_key: "${STORAGE_KEY}"`, words.storageKey)
		text.WriteString("\n")
	}
	line("upstreams:", words.upstreams)
	line("  backend: "+quoted(a.Upstream), words.backend)
	text.WriteString("\n")
	line("routes:", words.routes)
	for _, path := range a.Login {
		line("  - { path: "+quoted(path)+", upstream: backend }", words.needsLogin)
	}
	for _, path := range a.Open {
		line("  - { path: "+quoted(path)+", upstream: backend, auth: none }", words.needsNone)
	}
	return text.String()
}

// quoted writes a text as YAML in quotes.
func quoted(text string) string {
	yaml, _ := json.Marshal(strings.ReplaceAll(text, "$", "$$")) // a text has no fault
	return string(yaml)
}

// Next says what to do after the file is written. command is how wxgate is called for it, such as wxgate -c prod.yaml.
func (a Answers) Next(file, command string, words Words) string {
	first := words.nextVariables
	if a.front().cloudRun {
		first = words.nextCloudRun
	}
	return fmt.Sprintf("%s %s\n  1. %s\n  2. %-24s # %s\n  3. %-24s # %s\n", file, words.written, first, command+" doctor", words.nextDoctor, command+" serve", words.nextServe)
}
