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
			result, ok := r.slice(ctx, l, duration)
			if ctx.Err() != nil {
				return samples
			}
			if ok {
				samples = append(samples, report.Sample{Contestant: l.name, Scenario: l.scenario, Round: round, Values: valuesOf(result)})
			}
		}
	}
	return samples
}

// slice measures a lane, again while others used a CPU meanwhile. It reports whether there is a result worth keeping.
func (r *rig) slice(ctx context.Context, l lane, duration time.Duration) (load.Result, bool) {
	var result load.Result
	for range 1 + retries {
		r.quiet(ctx)
		var err error
		result, err = r.measure(ctx, l.kind.of(r, l.running, duration))
		if err != nil {
			r.say("%s: %s: %v", l.name, l.scenario, err)
			return result, false
		}
		if l.kind.heavy || max(result.Foreign, result.ForeignOur) <= r.foreign {
			return result, true
		}
	}
	r.say("%s: %s: discarded: others used %.0f %% and %.0f %% of the CPUs", l.name, l.scenario, 100*result.Foreign, 100*result.ForeignOur)
	return result, false
}

func valuesOf(r load.Result) map[report.Metric]float64 {
	values := map[report.Metric]float64{
		report.CPU: r.CPU, report.PerSecond: r.PerSecond, report.P50: r.P50, report.P99: r.P99, report.Switches: r.Switches,
	}
	if r.Unexpected > 0 {
		values[report.Unexpected] = float64(r.Unexpected)
	}
	if r.Errors > 0 {
		values[report.Errors] = float64(r.Errors)
	}
	return values
}
