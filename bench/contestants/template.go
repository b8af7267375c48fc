package contestants

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template" //nolint:depguard // bench is not in the binary
)

// Place is where contestants run.
type Place struct {
	Folder     string         // of this run; each contestant gets one below it
	Bin        string         // folder of relay, stdlib and caddy, absolute
	WXGate     string         // the binary under test, absolute
	Before     string         // another wxgate, absolute; or empty
	Secret     string         // HMAC key of the tokens
	Service    netip.AddrPort // what they forward to
	WeChat     netip.AddrPort // the sandbox that plays WeChat
	GatewayCPU int
}

// values are what templates can use.
type values struct {
	Place
	Options
	Folder      string // of this contestant
	Port        int
	AdminPort   int
	ServicePort uint16
}

// expand fills a template in.
func expand(text string, v values) (string, error) {
	parsed, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("template %.40q: %w", text, err)
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, v); err != nil {
		return "", fmt.Errorf("template %.40q: %w", text, err)
	}
	return filled.String(), nil
}

// writeFiles fills the templates of c in and writes them into its folder.
func (c *Contestant) writeFiles(v values) error {
	for name, source := range c.Files {
		text, err := fs.ReadFile(templates, path.Join("config", source))
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		filled, err := expand(string(text), v)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.Name, source, err)
		}
		if err := os.WriteFile(filepath.Join(v.Folder, name), []byte(filled), 0o600); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return nil
}

// arguments fills the command of c in.
func (c *Contestant) arguments(v values) ([]string, error) {
	filled := make([]string, len(c.Command))
	for i, argument := range c.Command {
		var err error
		if filled[i], err = expand(argument, v); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return filled, nil
}
