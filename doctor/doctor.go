// Package doctor finds out whether all that a login and a request depend on is as it has to be, and what to do where it is not.
package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"wxgate/config"
)

// Finding is one line of the doctor: what was looked at, whether it is all right, and what to do.
type Finding struct {
	About  string
	Err    error  // nil: all right
	Advice string // a remark when it is all right, what to do when it is not
}

// String is the finding in one line, without a secret.
func (f Finding) String() string {
	if f.Err == nil {
		return f.Advice
	}
	return strings.ReplaceAll(f.Err.Error(), "\n", "; ") + "; " + f.Advice
}

const (
	// total bounds an examination.
	total = 30 * time.Second
	// concurrency is how many checks run at a time, most of which wait for somebody else.
	concurrency = 8
)

// check looks at one thing. It ends soon after its context.
type check func(context.Context) Finding

// Examine looks at everything that cfg depends on, within 30 s, and at the domain that the mini-program calls, unless it is "". It
// changes nothing, but each target of upstreams gets a request of its own (POST /wxgate-doctor).
func Examine(ctx context.Context, cfg config.Config, domain string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	var accounts []account
	for _, each := range cfg.WeChat.Each() {
		a := newAccount(each)
		defer a.close(ctx)
		accounts = append(accounts, a)
	}
	checks := checksOf(cfg, accounts)
	if domain != "" {
		checks = append(checks, checksOfDomain(cfg, parseDomain(domain))...)
	}
	return run(ctx, checks)
}

// checksOf are those that need no domain.
func checksOf(cfg config.Config, accounts []account) []check {
	checks := []check{func(context.Context) Finding { return keysFinding(cfg.Authn) }}
	checks = append(checks, storageChecks(cfg)...)
	if cfg.Server.TLS.Enabled() || cfg.Server.AdminTLS.Config().Enabled() {
		checks = append(checks, func(context.Context) Finding { return certificatesFinding(cfg) })
	}
	if cfg.Server.TLS.ACME.Enabled() {
		checks = append(checks, func(ctx context.Context) Finding { return authorityFinding(ctx, cfg) })
	}
	for _, a := range accounts {
		checks = append(checks, a.checks()...)
	}
	checks = append(checks, func(ctx context.Context) Finding { return clockFinding(ctx, cfg.WeChat.BaseURL) })
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		checks = append(checks,
			func(ctx context.Context) Finding { return upstreamFinding(ctx, name, cfg.Upstreams[name]) },
			func(ctx context.Context) Finding { return contentFinding(ctx, name, cfg.Upstreams[name]) })
	}
	for _, each := range cfg.Authn.Issuers {
		if each.JWKS != "" {
			checks = append(checks, func(ctx context.Context) Finding { return issuerFinding(ctx, each) })
		}
	}
	for _, f := range append(timeoutFindings(cfg), clientsFinding(cfg)) {
		checks = append(checks, func(context.Context) Finding { return f })
	}
	return checks
}

// checksOfDomain are those of the domain that clients call, and of the messages that WeChat pushes there.
func checksOfDomain(cfg config.Config, d domain) []check {
	checks := []check{
		func(context.Context) Finding { return d.rulesFinding() },
		d.tlsFinding,
	}
	for _, each := range cfg.WeChat.Each() {
		if each.Push.Token != "" {
			checks = append(checks, func(ctx context.Context) Finding { return d.pushFinding(ctx, each, cfg.Endpoints.Push) })
		}
	}
	return checks
}

// run runs some of the checks at a time, and returns the findings in their order.
func run(ctx context.Context, checks []check) []Finding {
	findings := make([]Finding, len(checks))
	slots := make(chan struct{}, concurrency)
	var running sync.WaitGroup
	for i, find := range checks {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			findings[i] = find(ctx)
		})
	}
	running.Wait()
	return findings
}
