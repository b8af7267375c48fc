package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/load"
	"wxgate/bench/tokens"
)

// defaultPlan is what the table of the manual shows.
const defaultPlan = "start:5,idle:3x5s,sat:7x1.5s,bad:5x1.5s,rate@2000:7x2s,rate@10000:5x2s,rate@20000:5x2s,big:5x1.5s,upload:5x1.5s,mem:2"

// step is one entry of a plan.
type step struct {
	scenario string
	rounds   int
	duration time.Duration // of each slice; 0: the scenario takes as long as it takes
}

// parsePlan reads "sat:5x1.5s,start:3".
func parsePlan(text string) (plan []step, err error) {
	for entry := range strings.SplitSeq(text, ",") {
		name, much, _ := strings.Cut(entry, ":")
		rounds, duration, timed := strings.Cut(much, "x")
		s := step{scenario: name}
		if s.rounds, err = strconv.Atoi(rounds); err != nil || s.rounds < 1 {
			return nil, fmt.Errorf("plan %q: want SCENARIO:ROUNDS or SCENARIO:ROUNDSxDURATION", entry)
		}
		if timed {
			if s.duration, err = time.ParseDuration(duration); err != nil {
				return nil, fmt.Errorf("plan %q: %w", entry, err)
			}
		}
		if _, err := scenarioOf(name); err != nil && !special(name) {
			return nil, err
		}
		plan = append(plan, s)
	}
	return plan, nil
}

// special reports whether a scenario is none of requests alone.
func special(name string) bool { return name == "start" || name == "idle" || name == "mem" }

// scenario is a kind of requests.
type scenario struct {
	load   load.Config
	tokens tokens.Kind
	heavy  bool // the kernel's own threads work as well, so that foreign work cannot be told apart
}

// scenarioOf returns a scenario by its name in plans.
func scenarioOf(name string) (scenario, error) {
	s := scenario{tokens: tokens.Good, load: load.Config{
		Pace: load.Closed, Method: http.MethodGet, Paths: []string{"/api/v1/recipes?page=1&size=10"},
		Connections: 64, Want: http.StatusOK, Warmup: 400 * time.Millisecond,
	}}
	kind, parameter, _ := strings.Cut(name, "@")
	switch kind {
	case "sat":
	case "bad":
		s.tokens, s.load.Want = tokens.BadSignature, http.StatusUnauthorized
	case "new":
		s.tokens = tokens.New
	case "rate":
		rate, err := strconv.ParseFloat(parameter, 64)
		if err != nil {
			return s, fmt.Errorf("scenario %q: want rate@REQUESTS-PER-SECOND", name)
		}
		s.load.Pace, s.load.Rate = load.Open, rate
	case "big":
		s.heavy, s.load.Connections, s.load.Paths = true, 16, []string{"/api/v1/size/102400"}
	case "upload":
		s.heavy, s.load.Connections, s.load.Paths = true, 16, []string{"/api/v1/upload"}
		s.load.Method, s.load.Content = http.MethodPost, 1<<20
	default:
		return s, fmt.Errorf("there is no scenario %q", name)
	}
	return s, nil
}

// of returns the measurement of s for c.
func (s scenario) of(r *rig, c *contestants.Running, duration time.Duration) load.Config {
	cfg := s.load
	cfg.Duration = duration
	cfg.Tokens = filepath.Clean(tokens.File(c.Tokens, s.tokens))
	return r.config(c, cfg)
}
