package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/report"
)

// baselineFile is committed, relative to the repository.
const baselineFile = "bench/baseline.json"

// guarded returns the scenarios that have a baseline, or those of them that what names.
func guarded(what string) []string {
	if what == "" {
		what = "sat,rate@2000,bad,new,big,upload"
	}
	return strings.Split(what, ",")
}

// guard compares what wxgate costs with the baseline, both against the reference in the same run.
func guard(ctx context.Context, s *settings, r *rig) error {
	r.counts = true
	var live []*contestants.Running
	for _, c := range contestants.All() {
		if c.Name != "wxgate" && c.Name != contestants.Reference {
			continue
		}
		running, err := r.start(ctx, c)
		if err != nil {
			return err
		}
		live = append(live, running)
	}
	run := report.Run{Machine: machine(ctx, s.wxgate)}
	for _, scenario := range guarded(s.what) {
		samples, err := r.step(ctx, step{scenario, s.rounds, s.slice}, live)
		if err != nil {
			return err
		}
		run.Samples = append(run.Samples, samples...)
	}
	old, err := report.ReadBaseline(baselineFile)
	if err != nil && !(s.write && errors.Is(err, os.ErrNotExist)) {
		return err
	}
	current := report.BaselineOf(&run)
	moved := judge(s, old, current)
	if !s.write {
		return moved
	}
	if moved != nil {
		r.say("%v", moved)
	}
	return old.Updated(current).Write(baselineFile)
}

// judge prints what moved, and returns an error if anything got worse or was not measured.
func judge(s *settings, old, current report.Baseline) error {
	moves := report.Compare(old, current)
	_, _ = fmt.Fprint(s.stdout, report.Moves(moves))
	var errs []error
	for _, m := range moves {
		if m.Worse() {
			errs = append(errs, fmt.Errorf("%s: %s: %s× of the reference, was %s×", m.Scenario, m.What, m.New, m.Old))
		}
	}
	for _, scenario := range guarded(s.what) {
		if current.Scenarios[scenario].CPU.Rounds == 0 {
			errs = append(errs, fmt.Errorf("%s: no round was quiet enough to be measured", scenario))
		}
	}
	return errors.Join(errs...)
}

// counter counts the instructions of processes with perf stat, where there is perf and the machine counts them.
type counter struct {
	cmd    *exec.Cmd
	output bytes.Buffer
}

// countInstructions begins to count after a warm-up, for so long.
func countInstructions(ctx context.Context, pids []int, warmup, duration time.Duration) *counter {
	var list []string
	for _, pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	c := &counter{cmd: exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-e", "instructions",
		"-D", strconv.FormatInt(warmup.Milliseconds(), 10), "-p", strings.Join(list, ","),
		"--", "sleep", fmt.Sprintf("%.3f", (warmup+duration).Seconds()))}
	c.cmd.Stderr = &c.output
	if c.cmd.Start() != nil {
		return nil
	}
	return c
}

// count waits for the end and returns the number, 0 if it is not known.
func (c *counter) count() float64 {
	if c == nil || c.cmd.Wait() != nil {
		return 0
	}
	return instructionsIn(c.output.String())
}

// instructionsIn reads the comma-separated output of perf stat: "123,,instructions,…", or "<not supported>,,…".
func instructionsIn(output string) (total float64) {
	for line := range strings.Lines(output) {
		fields := strings.Split(line, ",")
		if len(fields) > 2 && strings.HasPrefix(fields[2], "instructions") {
			n, err := strconv.ParseFloat(fields[0], 64)
			if err == nil {
				total += n
			}
		}
	}
	return total
}
