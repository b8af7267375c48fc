package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/report"
)

// growth measures the axes that the flags name, or all.
func growth(ctx context.Context, s *settings, r *rig) error {
	run := report.Run{Machine: machine(ctx, s.wxgate)}
	chosen, err := chooseAxes(axes(r.place.Service), s.what)
	if err != nil {
		return err
	}
	var failed error
	for _, a := range chosen {
		samples, err := r.grow(ctx, a)
		run.Samples = append(run.Samples, samples...)
		if err != nil {
			failed = fmt.Errorf("%s: %w", a.Name, err)
			break
		}
	}
	return errors.Join(failed, publish(s, run, "growth"))
}

func chooseAxes(all []axis, what string) (chosen []axis, err error) {
	if what == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(what, ",") {
		i := slices.IndexFunc(all, func(a axis) bool { return a.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no axis %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// dataFolder is where the data of a contestant lie that were written before its start.
func (r *rig) dataFolder(name string) string { return filepath.Join(r.place.Folder, name+"-data") }

// grow measures the steps of an axis in turn, each against the same round of the first.
func (r *rig) grow(ctx context.Context, a axis) ([]report.Sample, error) {
	r.say("%s: %s", a.Name, a.About)
	running := map[string]*contestants.Running{}
	defer func() {
		for c := range maps.Values(running) {
			c.Stop()
		}
		r.running = nil
	}()
	var points []point
	for _, p := range a.steps {
		if err := r.startPoint(ctx, p, running); err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	if a.reference {
		if err := r.startPoint(ctx, point{contestant: referenceOf(a), kind: saturated()}, running); err != nil {
			return nil, err
		}
	}
	if a.idle {
		return r.growIdle(ctx, a, points, running)
	}
	samples := r.growBusy(ctx, a, points, running)
	if len(running) < len(points) { // steps share a process
		return samples, ctx.Err()
	}
	for _, p := range points {
		c := running[p.contestant.Name]
		samples = append(samples, report.Sample{Contestant: "wxgate", Scenario: a.Name + "/" + p.label, Round: -1, Values: map[report.Metric]float64{
			report.Memory: megabytes(c), report.Start: float64(c.Took.Microseconds()) / 1e3,
		}})
	}
	return samples, ctx.Err()
}

// referenceOf is the reference with bounds like those of the axis.
func referenceOf(a axis) contestants.Contestant {
	all := contestants.All()
	c := all[slices.IndexFunc(all, func(c contestants.Contestant) bool { return c.Name == contestants.Reference })]
	c.Options.Raised = a.steps[0].contestant.Options.Raised
	return c
}

// startPoint starts the contestant of a step unless it runs, and makes its tokens.
func (r *rig) startPoint(ctx context.Context, p point, running map[string]*contestants.Running) error {
	c := running[p.contestant.Name]
	if c == nil {
		prepared, err := p.prepare(ctx, r)
		if err != nil {
			return err
		}
		if c, err = r.start(ctx, prepared); err != nil {
			return err
		}
		if p.users+p.revocations > 0 { // so that its start is one with the data at rest
			if err := r.restart(ctx, c); err != nil {
				return err
			}
		}
		running[c.Name] = c
	}
	if p.percent == 0 {
		return nil
	}
	return r.prepareTokens(ctx, c, p.percent)
}

func (r *rig) growBusy(ctx context.Context, a axis, points []point, running map[string]*contestants.Running) (samples []report.Sample) {
	slice := r.settings.slice
	var lanes []lane
	for _, p := range points {
		slice = max(slice, r.settings.slice*time.Duration(p.slices))
		lanes = append(lanes, lane{running[p.contestant.Name], "wxgate", a.Name + "/" + p.label, p.kind})
		if a.reference {
			lanes = append(lanes, lane{running[contestants.Reference], contestants.Reference, a.Name + "/" + p.label, p.kind})
		}
	}
	return r.interleave(ctx, lanes, r.rounds, slice)
}

// growIdle measures the memory of fresh processes.
func (r *rig) growIdle(ctx context.Context, a axis, points []point, running map[string]*contestants.Running) (samples []report.Sample, err error) {
	for _, p := range points {
		for name, c := range map[string]*contestants.Running{"wxgate": running[p.contestant.Name], contestants.Reference: running[contestants.Reference]} {
			if err := r.restart(ctx, c); err != nil {
				return samples, err
			}
			values, err := r.holdIdle(ctx, c, p.kind.load.Connections)
			if err != nil {
				return samples, err
			}
			samples = append(samples, report.Sample{Contestant: name, Scenario: a.Name + "/" + p.label, Values: values})
		}
	}
	return samples, nil
}
