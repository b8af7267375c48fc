package main

import (
	"context"
	"math/rand/v2"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/load"
	"wxgate/bench/report"
)

// retries is how often a slice is measured again in which others used a CPU.
const retries = 3

// lane is one of the things that are measured in turn within each round.
type lane struct {
	running  *contestants.Running
	name     string // of the contestant, in samples
	scenario string // in samples
	kind     scenario
}

// interleave measures every lane once per round, in random order.
func (r *rig) interleave(ctx context.Context, lanes []lane, rounds int, duration time.Duration) (samples []report.Sample) {
	for round := range rounds {
		for _, i := range rand.Perm(len(lanes)) {
			l := lanes[i]
			values, ok := r.slice(ctx, l, duration)
			if ctx.Err() != nil {
				return samples
			}
			if ok {
				samples = append(samples, report.Sample{Contestant: l.name, Scenario: l.scenario, Round: round, Values: values})
			}
		}
	}
	return samples
}

// slice measures a lane, again while others used a CPU meanwhile. It reports whether there is a result worth keeping.
func (r *rig) slice(ctx context.Context, l lane, duration time.Duration) (map[report.Metric]float64, bool) {
	var result load.Result
	for range 1 + retries {
		r.quiet(ctx)
		cfg := l.kind.of(r, l.running, duration)
		var counting *counter
		if r.counts {
			counting = countInstructions(ctx, cfg.Watched.Gateway, cfg.Warmup, duration)
		}
		var err error
		result, err = r.measure(ctx, cfg)
		instructions := counting.count()
		if err != nil {
			r.say("%s: %s: %v", l.name, l.scenario, err)
			return nil, false
		}
		if result.Requests == 0 {
			continue
		}
		if l.kind.heavy || max(result.Foreign, result.ForeignOur) <= r.foreign {
			return valuesOf(result, instructions), true
		}
	}
	r.say("%s: %s: discarded: %d answers, others used %.0f %% and %.0f %% of the CPUs", l.name, l.scenario, result.Requests, 100*result.Foreign, 100*result.ForeignOur)
	return nil, false
}

func valuesOf(r load.Result, instructions float64) map[report.Metric]float64 {
	values := map[report.Metric]float64{
		report.CPU: r.CPU, report.PerSecond: r.PerSecond, report.P50: r.P50, report.P99: r.P99, report.Switches: r.Switches,
	}
	if r.Unexpected+r.Errors > 0 {
		values[report.Unexpected], values[report.Errors], values[report.Seconds] = float64(r.Unexpected), float64(r.Errors), r.Seconds
	}
	if instructions > 0 && r.Requests > 0 {
		values[report.Instructions] = instructions / float64(r.Requests)
	}
	return values
}
