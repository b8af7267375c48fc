package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/bench/contestants"
	"wxgate/bench/report"
	"wxgate/storage"
	"wxgate/storage/badger"
)

func TestOnlyTheContestantsThatWereNamedAreMeasured(t *testing.T) {
	t.Parallel()
	names := func(s *settings) (list []string) {
		chosen, err := choose(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chosen {
			list = append(list, c.Name)
		}
		return list
	}
	if got := names(&settings{only: []string{"wxgate", "relay"}}); !slices.Equal(got, []string{"wxgate", "relay"}) {
		t.Errorf("got %v", got)
	}
	if got := names(&settings{before: "/old", only: []string{"wxgate"}}); !slices.Equal(got, []string{"wxgate", "wxgate-before"}) {
		t.Errorf("got %v", got)
	}
	if got := names(&settings{}); len(got) != len(contestants.All()) {
		t.Errorf("got %v, want all", got)
	}
	if _, err := choose(&settings{only: []string{"apache"}}); err == nil {
		t.Error("a contestant that does not exist was accepted")
	}
}

func TestEveryAxisHasSmallAndLargeSteps(t *testing.T) {
	t.Parallel()
	all := axes(netip.MustParseAddrPort("127.0.0.1:9000"))
	for _, a := range all {
		labels := map[string]bool{}
		for _, p := range a.steps {
			labels[p.label] = true
			if p.contestant.Name == "" || len(p.kind.load.Paths) == 0 {
				t.Errorf("%s: got %+v", a.Name, p)
			}
		}
		if len(labels) != len(a.steps) || len(labels) < 2 || a.About == "" {
			t.Errorf("got steps %v of %s", labels, a.Name)
		}
	}
	if chosen, err := chooseAxes(all, "users,routes"); err != nil || len(chosen) != 2 || chosen[0].Name != "users" {
		t.Errorf("got %v, %v", chosen, err)
	}
	if _, err := chooseAxes(all, "moons"); err == nil {
		t.Error("an axis that does not exist was accepted")
	}
}

func TestInstructionsAreReadFromPerf(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]float64{
		"1234567,,instructions,1000,100.00,,\n":            1234567,
		"12,,instructions:u,1,100.00,,\n":                  12,
		"<not supported>,,instructions,0,100.00,,\n":       0,
		"# started\n\n77,,cycles,1,1,,\n5,,instructions,1": 5,
	} {
		if got := instructionsIn(output); got != want {
			t.Errorf("got %g, want %g, for %q", got, want, output)
		}
	}
}

func TestTheGuardSaysWhatGotWorse(t *testing.T) {
	t.Parallel()
	ratio := func(median float64) report.Baseline {
		return report.Baseline{Scenarios: map[string]report.BaselineCost{"sat": {CPU: report.Ratio{Median: median, Low: median, High: median, Rounds: 5}}}}
	}
	var output bytes.Buffer
	s := &settings{stdout: &output, what: "sat"}
	if err := judge(s, ratio(1), ratio(1.5)); err == nil || !strings.Contains(err.Error(), "sat: CPU: 1.50× of the reference, was 1.00×") {
		t.Errorf("got %v", err)
	}
	if err := judge(s, ratio(1), ratio(0.5)); err != nil || !strings.Contains(output.String(), "better") {
		t.Errorf("got %v and %s", err, output.String())
	}
	if err := judge(s, ratio(1), report.Baseline{}); err == nil {
		t.Error("a scenario that was not measured passed")
	}
}

func TestDataHaveTheirUsersAndRevocations(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := fill(t.Context(), folder, 20, 1500); err != nil {
		t.Fatal(err)
	}
	users, revocations := contentsOf(t, folder)
	if users != 20 || revocations != 1500 {
		t.Errorf("got %d users and %d revocations, want 20 and 1,500", users, revocations)
	}
}

func TestAnUnknownCommandIsRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{nil, {"race"}, {"peers", "-wxgate", "/nowhere"}, {"peers", "-colour"}} {
		if err := run(context.Background(), arguments, nil, new(bytes.Buffer), new(bytes.Buffer)); err == nil {
			t.Errorf("%q was accepted", arguments)
		}
	}
}

// contentsOf opens a data folder as a wxgate would.
func contentsOf(t *testing.T, folder string) (users, revocations int) {
	t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = folder
	store, err := badger.Open(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	list, err := store.Users(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := store.Revocations(t.Context(), 0, 2000)
	if err != nil {
		t.Fatal(err)
	}
	return len(list), len(revoked)
}

func TestTheManualIsWrittenFromTheSamplesOfEarlierRuns(t *testing.T) {
	t.Parallel()
	docs := t.TempDir()
	page := filepath.Join(docs, "performance.md")
	text := "# A\n"
	for _, name := range []string{"peers", "growth", "logins"} {
		text += "<!-- bench-" + name + " begin -->\nold " + name + "\n<!-- bench-" + name + " end -->\n"
	}
	if err := os.Mkdir(filepath.Join(docs, "zh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{page, filepath.Join(docs, "zh", "performance.md")} {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sample := func(scenario string) report.Run {
		return report.Run{Samples: []report.Sample{{Contestant: "wxgate", Scenario: scenario, Values: map[report.Metric]float64{report.CPU: 42}}}}
	}
	s := &settings{docs: docs, stdout: new(bytes.Buffer)}
	for scenario, name := range map[string]string{"sat": "peers", "routes/10": "growth"} {
		if err := publish(s, sample(scenario), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(docs, "bench", "peers-cpu.svg")); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"pages", "-docs", docs}, nil, new(bytes.Buffer), new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil || strings.Contains(string(got), "old peers") || strings.Contains(string(got), "old growth") || !strings.Contains(string(got), "old logins") {
		t.Errorf("got %s, %v", got, err)
	}
	for _, link := range regexp.MustCompile(`\]\((bench/[^)]+)\)`).FindAllStringSubmatch(string(got), -1) {
		if _, err := os.Stat(filepath.Join(docs, link[1])); err != nil {
			t.Error(err)
		}
	}
}
