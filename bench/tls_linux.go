package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/proc"
	"wxgate/bench/report"
	"wxgate/bench/tokens"
	"wxgate/gateway/certificate/certificatetest"
)

// secureName is what the certificate of the measurement is for.
const secureName = "bench.test"

// tlsScenario is a number of requests over TLS.
type tlsScenario struct {
	name     string
	requests int
	kind     tokens.Kind
	want     int      // the status of every answer
	h2load   []string // arguments; nil: each request has a connection of its own
	resumed  bool     // these resume a session
}

func tlsScenarios() []tlsScenario {
	h1, h2 := []string{"--h1", "-c", "32"}, []string{"-c", "8", "-m", "8"}
	return []tlsScenario{
		{name: "http/1.1, kept connections", requests: 10_000, kind: tokens.Good, want: http.StatusOK, h2load: h1},
		{name: "http/1.1, refused token", requests: 10_000, kind: tokens.BadSignature, want: http.StatusUnauthorized, h2load: h1},
		{name: "HTTP/2, kept connections", requests: 10_000, kind: tokens.Good, want: http.StatusOK, h2load: h2},
		{name: "HTTP/2, refused token", requests: 10_000, kind: tokens.BadSignature, want: http.StatusUnauthorized, h2load: h2},
		{name: "new connection, full handshake", requests: 500, kind: tokens.Good, want: http.StatusOK},
		{name: "new connection, resumed session", requests: 500, kind: tokens.Good, want: http.StatusOK, resumed: true},
	}
}

// overTLS measures the contestants that speak TLS side by side.
func overTLS(ctx context.Context, s *settings, r *rig) error {
	if err := r.writeCertificate(); err != nil {
		return err
	}
	var live []*contestants.Running
	for _, c := range contestants.All() {
		if !slices.Contains([]string{contestants.Reference, "caddy", "wxgate"}, c.Name) {
			continue
		}
		running, err := r.start(ctx, c) // plain at first: to check it, and to log people in
		if err != nil {
			r.say("%s is left out: %v", c.Name, err)
			continue
		}
		running.Options.TLS = true
		if err := r.restart(ctx, running); err != nil {
			return err
		}
		live = append(live, running)
	}
	costs := map[string]map[string]cost{} // by scenario and contestant
	for _, scenario := range tlsScenarios() {
		costs[scenario.name] = map[string]cost{}
		for round := range s.rounds {
			for _, i := range rand.Perm(len(live)) {
				r.quiet(ctx)
				cpu, perSecond, err := r.ofTLS(ctx, live[i], scenario)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", live[i].Name, scenario.name, err)
				}
				costs[scenario.name][live[i].Name] = costs[scenario.name][live[i].Name].with(round, cpu, perSecond)
			}
		}
	}
	page := report.Page{Markdown: tlsTable(ctx, s, costs)}
	_, _ = fmt.Fprintln(s.stdout, page.Markdown)
	if s.docs == "" {
		return nil
	}
	return page.Publish(s.docs, "bench-tls")
}

// writeCertificate makes one of ECDSA P-256 for all.
func (r *rig) writeCertificate() error {
	cert, key := filepath.Join(r.place.Folder, "cert.pem"), filepath.Join(r.place.Folder, "key.pem")
	authority, err := certificatetest.NewAuthority()
	if err == nil {
		err = authority.IssueTo(cert, key, certificatetest.Leaf{Names: []string{secureName}})
	}
	if err != nil {
		return err
	}
	chain, err := os.ReadFile(cert)
	if err != nil {
		return err
	}
	private, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.place.Folder, "both.pem"), append(chain, private...), 0o600)
}

// cost is what a scenario took a contestant, by round.
type cost struct{ cpu, perSecond map[int]float64 }

func (c cost) with(round int, cpu, perSecond float64) cost {
	if c.cpu == nil {
		c = cost{map[int]float64{}, map[int]float64{}}
	}
	c.cpu[round], c.perSecond[round] = cpu, perSecond
	return c
}

// ofTLS runs a scenario once: µs of CPU a request, and requests a second.
func (r *rig) ofTLS(ctx context.Context, c *contestants.Running, scenario tlsScenario) (cpu, perSecond float64, err error) {
	token, err := tokens.First(c.Tokens, scenario.kind)
	if err != nil {
		return 0, 0, err
	}
	before, began := proc.CPU(c.PIDs), time.Now()
	if scenario.h2load != nil {
		err = r.h2load(ctx, c, scenario, token)
	} else {
		err = connectAnew(ctx, c, scenario, token)
	}
	n := float64(scenario.requests)
	return float64((proc.CPU(c.PIDs) - before).Microseconds()) / n, n / time.Since(began).Seconds(), err
}

// h2load sends requests over connections that are kept.
func (r *rig) h2load(ctx context.Context, c *contestants.Running, scenario tlsScenario, token string) error {
	arguments := append([]string{
		"h2load", "-n", strconv.Itoa(scenario.requests), "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", "-H", "Authorization: Bearer " + token,
	}, scenario.h2load...)
	cmd := contestants.Pinned(ctx, strconv.Itoa(r.loadCPU), append(arguments, "https://"+c.Address.String()+"/api/v1/recipes?page=1&size=10")...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.300s", err, said)
	}
	class := map[int]string{http.StatusOK: "2xx", http.StatusUnauthorized: "4xx"}[scenario.want]
	if found := regexp.MustCompile(`(\d+) ` + class).FindSubmatch(said); found == nil || string(found[1]) != strconv.Itoa(scenario.requests) {
		return fmt.Errorf("want %d answers of %s: %.900s", scenario.requests, class, said)
	}
	return nil
}

// connectAnew makes a connection for each request, one after the other.
func connectAnew(ctx context.Context, c *contestants.Running, scenario tlsScenario, token string) error {
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: secureName, NextProtos: []string{"http/1.1"}, CurvePreferences: []tls.CurveID{tls.X25519}}
	if scenario.resumed {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	for i := range scenario.requests {
		resumed, err := askOnce(ctx, &tls.Dialer{Config: cfg}, c, scenario.want, token)
		if err != nil {
			return err
		}
		if resumed != scenario.resumed && i > 0 {
			return errors.New("a session was resumed or not, against what is measured")
		}
	}
	return nil
}

// askOnce sends a request on a connection of its own.
func askOnce(ctx context.Context, dialer *tls.Dialer, c *contestants.Running, want int, token string) (resumed bool, err error) {
	conn, err := dialer.DialContext(ctx, "tcp", c.Address.String())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /api/v1/recipes?page=1&size=10 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", secureName, token)
	if err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
		return false, fmt.Errorf("got %s, %w, want %d", resp.Status, err, want)
	}
	return conn.(*tls.Conn).ConnectionState().DidResume, nil // a tls.Dialer returns nothing else
}

// tlsTable has a row for each scenario.
func tlsTable(ctx context.Context, s *settings, costs map[string]map[string]cost) string {
	t := report.Table{Header: []string{
		"CPU a request, µs", "HAProxy", "Caddy", "wxgate", "× HAProxy", "× Caddy", "requests/s: HAProxy", "Caddy", "wxgate",
	}}
	for _, scenario := range tlsScenarios() {
		of := costs[scenario.name]
		haproxy, caddy, ours := of[contestants.Reference], of["caddy"], of["wxgate"]
		t.Add(scenario.name, middle(haproxy.cpu), middle(caddy.cpu), middle(ours.cpu), report.RatioOf(ours.cpu, haproxy.cpu).String(),
			report.RatioOf(ours.cpu, caddy.cpu).String(), middle(haproxy.perSecond), middle(caddy.perSecond), middle(ours.perSecond))
	}
	on := machine(ctx, s.wxgate)
	return fmt.Sprintf("Measured on %s · %s · %s · %s. Medians of %d rounds; ratios are paired by round.\n\n%s",
		on["date"], on["cpu"], on["wxgate"], on["haproxy"], s.rounds, t.String())
}

func middle(byRound map[int]float64) string {
	var values []float64
	for _, v := range byRound {
		values = append(values, v)
	}
	return report.Number(report.Median(values))
}
