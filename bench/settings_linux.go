package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// settings are the flags of one run.
type settings struct {
	wxgate     string // the binary
	before     string // another one, to compare it with; empty: none
	bin        string // folder of the other contestants' binaries
	only       []string
	plan       string
	what       string
	file       string
	docs       string
	write      bool
	rounds     int
	slice      time.Duration
	gatewayCPU int
	loadCPU    int
	foreign    float64
	patience   time.Duration
	stdout     io.Writer
	stderr     io.Writer
}

// parse reads the flags of a command.
func parse(command string, arguments []string, stdout, stderr io.Writer) (*settings, error) {
	s := &settings{stdout: stdout, stderr: stderr}
	flags := flag.NewFlagSet("bench "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.wxgate, "wxgate", "bin/wxgate", "the binary under test")
	flags.StringVar(&s.bin, "bin", "bin/bench", "folder with relay, stdlib and caddy")
	flags.StringVar(&s.before, "before", "", "another wxgate that peers measures beside it, as wxgate-before")
	only := flags.String("only", "", "comma-separated contestants of peers; empty: all")
	flags.StringVar(&s.plan, "plan", defaultPlan, "what peers measures: SCENARIO:ROUNDSxDURATION,…")
	flags.StringVar(&s.what, "what", "", "comma-separated axes of growth, or scenarios of guard; empty: all")
	flags.StringVar(&s.file, "json", "bin/bench/"+command+".json", "file of the samples; what it has of other scenarios stays")
	flags.StringVar(&s.docs, "docs", "", "folder of the manual, to rewrite the generated part of its performance.md and zh/performance.md; empty: do not")
	flags.BoolVar(&s.write, "write", false, "guard: write the baseline instead of comparing with it")
	flags.IntVar(&s.rounds, "rounds", 5, "slices per step of growth, logins and guard")
	flags.DurationVar(&s.slice, "slice", 1500*time.Millisecond, "duration of each of these")
	flags.IntVar(&s.gatewayCPU, "cpu-gateway", 0, "CPU of the contestants")
	flags.IntVar(&s.loadCPU, "cpu-load", 1, "CPU of load generator, service and WeChat")
	flags.Float64Var(&s.foreign, "max-foreign", 0.08, "discard slices in which others used more than this share of either CPU")
	flags.DurationVar(&s.patience, "wait", 20*time.Second, "wait at most so long before a slice until both CPUs idle")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	return s, s.absolute()
}

// absolute makes paths independent of the folder in which a contestant runs.
func (s *settings) absolute() (err error) {
	for _, path := range []*string{&s.wxgate, &s.before, &s.bin} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
	}
	return nil
}
