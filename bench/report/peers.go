package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// reference is the contestant to which others are compared.
const reference = "haproxy-lean"

// rates are those at which latencies are plotted, requests a second.
func rates() []int { return []int{2000, 10_000, 20_000} }

// Peers renders the comparison of wxgate with others. about says what each contestant is.
func Peers(r *Run, about map[string]string) Page {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", measuredOn(r))
	text.WriteString(peersTable(r).String())
	text.WriteString("\nµs: CPU time of the contestant per request, user and system. ×: that time against " + reference +
		"'s, the median of the ratios of each round. 2k, 10k, 20k: requests a second at random moments; – where the contestant " +
		"cannot keep up. MiB: resident memory. Idle: share of one CPU, and context switches a second. Start: to the first answer.\n\n")
	for _, name := range r.Contestants() {
		if about[name] != "" {
			fmt.Fprintf(&text, "- %s: %s\n", name, about[name])
		}
	}
	plots := peersPlots(r)
	for _, file := range slices.Sorted(maps.Keys(plots)) {
		fmt.Fprintf(&text, "\n![%s](bench/%s)\n", strings.TrimSuffix(file, ".svg"), file)
	}
	return Page{Markdown: text.String(), Plots: plots}
}

// measuredOn says on what r was measured.
func measuredOn(r *Run) string {
	var parts []string
	for _, name := range []string{"date", "cpu", "kernel", "go", "wxgate", "haproxy", "nginx"} {
		if value := r.Machine[name]; value != "" {
			parts = append(parts, value)
		}
	}
	return "Measured on " + strings.Join(parts, " · ") + "."
}

// peersTable has a row per contestant.
func peersTable(r *Run) *Table {
	table := &Table{Header: []string{
		"contestant", "saturated µs", "×", "req/s", "p99 ms", "bad token µs", "×", "2k/s µs", "×", "p99 ms at 2k", "10k", "20k",
		"100 KB ×", "1 MiB up ×", "MiB start", "64 busy", "5,000 idle", "idle CPU %", "wake-ups/s", "start ms",
	}}
	for _, name := range r.Contestants() {
		ratio := func(scenario string) string { return r.Ratio(name, reference, scenario, CPU).String() }
		number := func(scenario string, metric Metric) string { return Number(r.Median(name, scenario, metric)) }
		table.Add(
			name, number("sat", CPU), ratio("sat"), number("sat", PerSecond), Number(r.Median(name, "sat", P99)/1e3),
			number("bad", CPU), ratio("bad"), number("rate@2000", CPU), ratio("rate@2000"),
			Number(r.latency(name, 2000, P99)), Number(r.latency(name, 10_000, P99)), Number(r.latency(name, 20_000, P99)),
			ratio("big"), ratio("upload"), number("start", Memory), number("memory-busy", Memory), number("memory-idle", Memory),
			number("idle", IdleCPU), number("idle", WakeUps), number("start", Start),
		)
	}
	return table
}

// latency returns a quantile at a rate in milliseconds, NaN if the contestant cannot keep up with it.
func (r *Run) latency(contestant string, rate int, quantile Metric) float64 {
	scenario := fmt.Sprintf("rate@%d", rate)
	if r.Median(contestant, scenario, PerSecond) < 0.97*float64(rate) {
		return math.NaN()
	}
	return r.Median(contestant, scenario, quantile) / 1e3
}

// peersPlots are those for which there are samples.
func peersPlots(r *Run) map[string]string {
	throughput := Bars{Title: "Requests a second, one core, saturated", Series: []string{"req/s"}}
	cpu := Bars{Title: "CPU time per request, µs", Series: []string{"saturated", "2,000 requests/s", "bad token refused"}}
	memory := Bars{Title: "Resident memory, MiB", Series: []string{"after the start", "64 busy connections", "5,000 idle connections"}}
	latency := map[Metric]*Bars{}
	for _, quantile := range []Metric{P50, P99} {
		title := strings.TrimSuffix(string(quantile), "_us") + " of the latency at fixed rates, ms"
		latency[quantile] = &Bars{Title: title, Series: []string{"2,000/s", "10,000/s", "20,000/s"}, Log: true}
	}
	for _, name := range r.Contestants() {
		throughput.add(name, r.Median(name, "sat", PerSecond))
		cpu.add(name, r.Median(name, "sat", CPU), r.Median(name, "rate@2000", CPU), r.Median(name, "bad", CPU))
		memory.add(name, r.Median(name, "start", Memory), r.Median(name, "memory-busy", Memory), r.Median(name, "memory-idle", Memory))
		for quantile, bars := range latency {
			var values []float64
			for _, rate := range rates() {
				values = append(values, r.latency(name, rate, quantile))
			}
			bars.add(name, values...)
		}
	}
	return map[string]string{
		"peers-throughput.svg": throughput.SVG(), "peers-cpu.svg": cpu.SVG(), "peers-memory.svg": memory.SVG(),
		"peers-latency-p50.svg": latency[P50].SVG(), "peers-latency-p99.svg": latency[P99].SVG(),
	}
}

func (b *Bars) add(name string, values ...float64) { b.Groups = append(b.Groups, Group{name, values}) }
