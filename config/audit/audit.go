// Package audit finds what is valid in a configuration and may still be a mistake, or an invitation. Every finding has an id
// and a severity that never change: docs/check.md.
package audit

import (
	"cmp"
	"slices"
	"time"

	"wxgate/config"
	"wxgate/config/strictyaml"
	"wxgate/input"
)

// Severity is how bad a finding is.
type Severity string

// The severities, from the least to the worst.
const (
	Info     Severity = "info"     // worth knowing
	Warning  Severity = "warning"  // a mistake, probably
	Critical Severity = "critical" // somebody can do what they must not, or the gateway cannot do what it has to
)

// Severities are all of them, from the least to the worst.
func Severities() []Severity { return []Severity{Info, Warning, Critical} }

// AtLeast reports whether s is as bad as least, or worse.
func (s Severity) AtLeast(least Severity) bool {
	return slices.Index(Severities(), s) >= slices.Index(Severities(), least)
}

// Kinds are the ids of all findings with their severities.
func Kinds() map[string]Severity {
	return map[string]Severity{
		"acme-domain-unused":       Warning,
		"acme-port":                Warning,
		"acme-unwritable":          Critical,
		"admin-plaintext":          Critical,
		"admin-public":             Warning,
		"appid-form":               Warning,
		"backup-ephemeral":         Critical,
		"backup-never":             Warning,
		"backup-unwritable":        Critical,
		"certificate-chain":        Critical,
		"certificate-early":        Critical,
		"certificate-expired":      Critical,
		"certificate-expires":      Warning,
		"certificate-nameless":     Critical,
		"certificate-unused":       Warning,
		"cloud-run":                Info,
		"cloud-run-public":         Critical,
		"content-check-blind":      Warning,
		"data-ephemeral":           Critical,
		"data-unwritable":          Critical,
		"endpoints-under-route":    Info,
		"events-reachable":         Warning,
		"host-without-certificate": Critical,
		"issuer-unused":            Warning,
		"link-unannounced":         Warning,
		"literal-secret":           Warning,
		"login-limit-shared":       Warning,
		"open-route":               Warning,
		"orders-reachable":         Critical,
		"pay-certificate-early":    Warning,
		"pay-certificate-expired":  Warning,
		"pay-certificate-expires":  Warning,
		"payments-reachable":       Critical,
		"proxy-unknown":            Info,
		"push-plain":               Warning,
		"push-reachable":           Critical,
		"quota-reset":              Warning,
		"route-over-endpoint":      Warning,
		"trusted-everyone":         Critical,
		"upstream-plaintext":       Critical,
		"wechat-plaintext":         Critical,
	}
}

// Finding is one of them, with its place in the file.
type Finding struct {
	strictyaml.Fault

	ID       string
	Severity Severity
}

// Examine finds what may not be meant in a valid configuration and in what it names on this machine: certificates as of a
// time, and folders.
func Examine(cfg config.Config, origin config.Origin, now time.Time) []Finding {
	return find(slices.Concat(settings(cfg), literalSecrets(cfg, origin), files(cfg, now), folders(cfg)), origin)
}

// Settings finds what may not be meant in a valid configuration alone.
func Settings(cfg config.Config, origin config.Origin) []Finding {
	return find(slices.Concat(settings(cfg), literalSecrets(cfg, origin)), origin)
}

// find makes findings of warnings, in the order of the file.
func find(warnings input.Warnings, origin config.Origin) []Finding {
	kinds := Kinds()
	found := []Finding{}
	for _, w := range warnings {
		found = append(found, Finding{origin.Place(w.Fault), w.ID, kinds[w.ID]})
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
	return found
}

// Since are the findings that are not among those that are known.
func Since(known, all []Finding) (found []Finding) {
	for _, f := range all {
		if !slices.Contains(known, f) {
			found = append(found, f)
		}
	}
	return found
}

func settings(cfg config.Config) input.Warnings {
	return slices.Concat(cfg.Gateway().Warnings(), cfg.WeChat.Warnings().At("wechat"), cfg.Storage.Warnings().At("storage"), cfg.Authn.Warnings().At("authn"),
		listeners(cfg), proxies(cfg), cloudRun(cfg), plaintext(cfg), openRoutes(cfg), issuers(cfg), reachable(cfg), quotas(cfg))
}
