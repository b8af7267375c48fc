package report

import (
	"strings"
	"testing"
	"time"
)

// cellsOf returns the cells of the row of a table that begins with first.
func cellsOf(markdown, first string) []string {
	for line := range strings.Lines(markdown) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) > 2 && cells[1] == first {
			return cells[1 : len(cells)-1]
		}
	}
	return nil
}

func TestGrowthIsPairedWithTheFirstStep(t *testing.T) {
	t.Parallel()
	var r Run
	for round := range 3 {
		noise := float64(1 + round) // the machine slows down from round to round
		r.Samples = append(r.Samples,
			Sample{"wxgate", "routes/10,000", round, map[Metric]float64{CPU: 15 * noise, Unexpected: 10, Errors: 0, PerSecond: 100, Seconds: 2}},
			Sample{"wxgate", "routes/10", round, map[Metric]float64{CPU: 10 * noise, PerSecond: 100}},
			Sample{"haproxy-lean", "routes/10", round, map[Metric]float64{CPU: 5 * noise}},
			Sample{"wxgate", "idle/64", round, map[Metric]float64{Memory: 40}},
			Sample{"wxgate", "idle/5,000", round, map[Metric]float64{Memory: 900}},
		)
	}
	page := Growth(&r, []Axis{{"routes", "routes of the configuration"}, {"users", "users"}, {"idle", "idle connections"}})
	header, small, large := cellsOf(page.Markdown, "routes"), cellsOf(page.Markdown, "10"), cellsOf(page.Markdown, "10,000")
	column := func(title string) int {
		for i, cell := range header {
			if cell == title {
				return i
			}
		}
		t.Fatalf("got header %q, want %q in it", header, title)
		return 0
	}
	for title, want := range map[string][2]string{
		"CPU µs": {"20.0", "30.0"}, "× first": {"1.00", "1.50"}, "× haproxy-lean": {"2.00", "–"}, "failed %": {"–", "5.00"},
	} {
		if i := column(title); small[i] != want[0] || large[i] != want[1] {
			t.Errorf("got %s and %s, want %v, for %s", small[i], large[i], want, title)
		}
	}
	if strings.Contains(strings.Join(header, " "), "held") || strings.Contains(page.Markdown, "Users") {
		t.Errorf("the page has what was not measured:\n%s", page.Markdown)
	}
	if !strings.Contains(page.Plots["growth-idle.svg"], "Resident memory") || len(page.Plots) != 2 {
		t.Errorf("got plots %v", page.Plots)
	}
	for _, svg := range page.Plots {
		wellFormed(t, svg)
	}
}

func TestLoginsHaveARowPerNumberOfClients(t *testing.T) {
	t.Parallel()
	r := Run{Samples: []Sample{
		{"wxgate", LoginScenario(0, 64), 0, map[Metric]float64{PerSecond: 2290, P50: 20_000, P99: 52_000, CPU: 300}},
		{"wxgate", LoginScenario(50*time.Millisecond, 64), 0, map[Metric]float64{PerSecond: 1200, P50: 55_000, P99: 80_000, CPU: 300}},
	}}
	page := Logins(&r)
	if got, want := strings.Join(cellsOf(page.Markdown, "64"), " "), "64 2,290 20.0 52.0 1,200 55.0 80.0 – – – 300"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, svg := range page.Plots {
		wellFormed(t, svg)
	}
}
