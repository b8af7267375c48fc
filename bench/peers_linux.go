package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/load"
	"wxgate/bench/proc"
	"wxgate/bench/report"
	"wxgate/bench/tokens"
)

// peers measures the contestants side by side.
func peers(ctx context.Context, s *settings, r *rig) error {
	plan, err := parsePlan(s.plan)
	if err != nil {
		return err
	}
	chosen, err := choose(s)
	if err != nil {
		return err
	}
	run := report.Run{Machine: machine(ctx, s.wxgate)}
	live, failed := r.startAll(ctx, chosen)
	for _, step := range plan {
		samples, err := r.step(ctx, step, live)
		run.Samples = append(run.Samples, samples...)
		if failed = errors.Join(failed, err); err != nil {
			break
		}
	}
	return errors.Join(failed, publish(s, run, "peers"))
}

// choose returns the contestants that the flags name, or all.
func choose(s *settings) (chosen []contestants.Contestant, err error) {
	all := contestants.All()
	if s.before != "" {
		all = append(all, contestants.Before())
	}
	for _, name := range s.only {
		i := slices.IndexFunc(all, func(c contestants.Contestant) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no contestant %q", name)
		}
		chosen = append(chosen, all[i])
	}
	if len(chosen) == 0 {
		return all, nil
	}
	if s.before != "" && !slices.Contains(s.only, contestants.Before().Name) {
		chosen = append(chosen, contestants.Before())
	}
	return chosen, nil
}

// startAll starts contestants. Those that do not do the job are left out, and the error says why.
func (r *rig) startAll(ctx context.Context, chosen []contestants.Contestant) (live []*contestants.Running, failed error) {
	for _, c := range chosen {
		running, err := r.start(ctx, c)
		if err != nil {
			r.say("%v", err)
			failed = errors.Join(failed, fmt.Errorf("%s was left out", c.Name))
			continue
		}
		live = append(live, running)
	}
	return live, failed
}

func (r *rig) step(ctx context.Context, s step, live []*contestants.Running) ([]report.Sample, error) {
	r.say("%s: %d rounds", s.scenario, s.rounds)
	switch s.scenario {
	case "start":
		return r.starts(ctx, s.rounds, live)
	case "idle":
		return r.idles(ctx, s.rounds, s.duration, live), ctx.Err()
	case "mem":
		return r.memory(ctx, s.rounds, live)
	}
	kind, err := scenarioOf(s.scenario)
	if err != nil {
		return nil, err
	}
	var lanes []lane
	for _, c := range live {
		if c.Open && (kind.tokens == tokens.BadSignature || kind.tokens == tokens.New) {
			continue
		}
		if kind.tokens == tokens.New {
			if err := r.prepareTokens(ctx, c, 100); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
		lanes = append(lanes, lane{c, c.Name, s.scenario, kind})
	}
	return r.interleave(ctx, lanes, s.rounds, s.duration), ctx.Err()
}

// newTokens is how many tokens are sent before one comes again: many times what wxgate remembers.
const newTokens = 300_000

// prepareTokens makes tokens of which a share is new, and checks that c accepts them.
func (r *rig) prepareTokens(ctx context.Context, c *contestants.Running, percent int) error {
	if err := tokens.WriteMixed(c.Tokens, r.place.Secret, newTokens, percent); err != nil {
		return err
	}
	token, err := tokens.First(c.Tokens, tokens.Mixed(percent))
	if err != nil {
		return err
	}
	return contestants.Accepts(ctx, c.Address, token)
}

// starts measures how long a start takes, and the memory after it.
func (r *rig) starts(ctx context.Context, rounds int, live []*contestants.Running) (samples []report.Sample, err error) {
	for round := range rounds {
		for _, c := range live {
			r.quiet(ctx)
			if err := r.restart(ctx, c); err != nil {
				return samples, err
			}
			if err := sleep(ctx, 300*time.Millisecond); err != nil {
				return samples, err
			}
			samples = append(samples, report.Sample{Contestant: c.Name, Scenario: "start", Round: round, Values: map[report.Metric]float64{
				report.Start: float64(c.Took.Microseconds()) / 1e3, report.Memory: megabytes(c),
			}})
		}
	}
	return samples, nil
}

func megabytes(c *contestants.Running) float64 { return float64(proc.Read(c.PIDs).RSS) / (1 << 20) }

// idles measures all contestants at once while nobody asks them anything.
func (r *rig) idles(ctx context.Context, rounds int, duration time.Duration, live []*contestants.Running) (samples []report.Sample) {
	for round := range rounds {
		_ = sleep(ctx, time.Second)
		r.quiet(ctx)
		before := make([]proc.Usage, len(live))
		for i, c := range live {
			before[i] = proc.Read(c.PIDs)
		}
		began := time.Now()
		if sleep(ctx, duration) != nil {
			return samples
		}
		seconds := time.Since(began).Seconds()
		for i, c := range live {
			after := proc.Read(c.PIDs)
			samples = append(samples, report.Sample{Contestant: c.Name, Scenario: "idle", Round: round, Values: map[report.Metric]float64{
				report.IdleCPU: 100 * (after.CPU - before[i].CPU).Seconds() / seconds,
				report.WakeUps: float64(after.Switches-before[i].Switches) / seconds,
			}})
		}
	}
	return samples
}

// idleConnections is how many phones have an open connection and send nothing.
const idleConnections = 5000

// settling is how long idle connections are held before the memory is read: some give memory back after a while.
const settling = 12 * time.Second

// memory measures a fresh process after four busy seconds, and with many idle connections.
func (r *rig) memory(ctx context.Context, rounds int, live []*contestants.Running) (samples []report.Sample, err error) {
	busy, err := scenarioOf("sat")
	if err != nil {
		return nil, err
	}
	for round := range rounds {
		for _, c := range live {
			if err := r.restart(ctx, c); err != nil {
				return samples, err
			}
			if _, err := r.measure(ctx, busy.of(r, c, 4*time.Second)); err != nil {
				return samples, err
			}
			samples = append(samples, memorySample(c, "memory-busy", round, nil))
			values, err := r.holdIdle(ctx, c, idleConnections)
			if err != nil {
				return samples, fmt.Errorf("%s: %w", c.Name, err)
			}
			samples = append(samples, memorySample(c, "memory-idle", round, values))
		}
	}
	return samples, nil
}

func memorySample(c *contestants.Running, scenario string, round int, values map[report.Metric]float64) report.Sample {
	if values == nil {
		values = map[report.Metric]float64{report.Memory: megabytes(c)}
	}
	return report.Sample{Contestant: c.Name, Scenario: scenario, Round: round, Values: values}
}

// holdIdle measures the memory of c with so many idle connections.
func (r *rig) holdIdle(ctx context.Context, c *contestants.Running, connections int) (values map[report.Metric]float64, err error) {
	kind, err := scenarioOf("sat")
	if err != nil {
		return nil, err
	}
	kind.load.Pace, kind.load.Connections = load.Hold, connections
	err = r.hold(ctx, kind.of(r, c, 0), func(held load.Result) error {
		if err := sleep(ctx, settling); err != nil {
			return err
		}
		values = map[report.Metric]float64{report.Memory: megabytes(c), report.Held: float64(held.Held)}
		return nil
	})
	return values, err
}
