package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/load"
	"wxgate/bench/report"
)

// logins measures logins of new users, written to the disk before they are answered, for clients and a WeChat that takes
// its time.
func logins(ctx context.Context, s *settings, r *rig) error {
	c, err := r.start(ctx, contestants.WXGate("wxgate", "", contestants.Options{}))
	if err != nil {
		return err
	}
	run := report.Run{Machine: machine(ctx, s.wxgate)}
	for round := range s.rounds {
		samples, failed := r.loginRound(ctx, c, round)
		run.Samples = append(run.Samples, samples...)
		if err = failed; err != nil {
			break
		}
	}
	return errors.Join(err, publish(s, run, "logins"))
}

// loginRound measures every number of clients with every WeChat once.
func (r *rig) loginRound(ctx context.Context, c *contestants.Running, round int) (samples []report.Sample, err error) {
	for _, latency := range report.WeChatLatencies() {
		if err := r.slowDownWeChat(ctx, latency); err != nil {
			return samples, err
		}
		for _, i := range rand.Perm(len(report.LoginClients())) {
			sample, err := r.loginSlice(ctx, c, latency, report.LoginClients()[i], round)
			if err != nil {
				return samples, err
			}
			samples = append(samples, sample)
		}
	}
	return samples, nil
}

// slowDownWeChat makes every exchange with the sandbox take so long.
func (r *rig) slowDownWeChat(ctx context.Context, latency time.Duration) error {
	body := strings.NewReader(fmt.Sprintf(`{"api":"jscode2session","ms":%d}`, latency.Milliseconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.place.WeChat.String()+"/sandbox/latency", body)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return fmt.Errorf("slowing WeChat down: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("slowing WeChat down: %s", resp.Status)
	}
	return nil
}

func (r *rig) loginSlice(ctx context.Context, c *contestants.Running, latency time.Duration, clients, round int) (report.Sample, error) {
	r.quiet(ctx)
	result, err := r.measure(ctx, r.config(c, load.Config{
		Pace: load.Login, Paths: []string{"/api/v1/auth/wx-login"}, Connections: clients, Want: http.StatusOK,
		Warmup: 500*time.Millisecond + 2*latency, Duration: r.settings.slice + 4*latency,
	}))
	scenario := report.LoginScenario(latency, clients)
	return report.Sample{Contestant: "wxgate", Scenario: scenario, Round: round, Values: valuesOf(result, 0)}, err
}
