package openapi

import (
	"fmt"
	"regexp"
	"strings"
)

// YAML is the plan as the section routes of gateway.yaml.
func (p *Plan) YAML() string {
	var b strings.Builder
	b.WriteString("routes:\n")
	for _, r := range p.Routes {
		b.WriteString("  - { path: " + scalar(r.Path))
		if len(r.Methods) > 0 {
			b.WriteString(", methods: [" + strings.Join(r.Methods, ", ") + "]")
		}
		fmt.Fprintf(&b, ", upstream: %s, auth: %s", scalar(r.Upstream), r.Auth)
		if r.StripPrefix != "" {
			b.WriteString(", strip_prefix: " + scalar(r.StripPrefix))
		}
		b.WriteString(" }")
		switch {
		case r.Operations == 0:
			b.WriteString("   # protected, within an open one")
		case r.pattern.TakesRest():
			fmt.Fprintf(&b, "   # %d operations", r.Operations)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// scalar is a text as a value of YAML within braces.
func scalar(text string) string {
	text = strings.ReplaceAll(text, "$", "$$") // ${VAR} is a reference
	if regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/_.*-]*$`).MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
