package report

import (
	"fmt"
	"math"
	"strings"
)

// Axis is something that grows. The scenarios of its steps are named NAME/STEP.
type Axis struct {
	Name  string
	About string // what the steps count
}

// Count returns a number as a label, with its thousands separated.
func Count(n int) string { return thousands(fmt.Sprint(n)) }

// Growth renders how costs grow: a table and a plot per axis that was measured.
func Growth(r *Run, axes []Axis) Page {
	page := Page{Plots: map[string]string{}}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", measuredOn(r))
	for _, axis := range axes {
		steps := stepsOf(r, axis)
		if len(steps) == 0 {
			continue
		}
		fmt.Fprintf(&text, "\n### %s\n\n%s\n", strings.ToUpper(axis.About[:1])+axis.About[1:], growthTable(r, axis, steps))
		if file, plot := growthPlot(r, axis, steps); file != "" {
			page.Plots[file] = plot.SVG()
			fmt.Fprintf(&text, "![%s](bench/%s)\n", axis.Name, file)
		}
	}
	page.Markdown = text.String()
	return page
}

// stepsOf returns the steps of an axis, in the order of the run.
func stepsOf(r *Run, axis Axis) []string {
	var steps []string
	for _, scenario := range r.Scenarios() {
		if step, ok := strings.CutPrefix(scenario, axis.Name+"/"); ok {
			steps = append(steps, step)
		}
	}
	sortSteps(steps)
	return steps
}

// growthColumn is a column of a table, which is left out if no step has it.
type growthColumn struct {
	title string
	value func(scenario string) string
}

func growthColumns(r *Run, first string) []growthColumn {
	number := func(who string, metric Metric) func(string) string {
		return func(scenario string) string { return Number(r.Median(who, scenario, metric)) }
	}
	return []growthColumn{
		{"CPU µs", number(wxgate, CPU)},
		{"× first", func(scenario string) string {
			return RatioOf(r.ByRound(wxgate, scenario, CPU), r.ByRound(wxgate, first, CPU)).String()
		}},
		{reference + " µs", number(reference, CPU)},
		{"its × first", func(scenario string) string {
			return RatioOf(r.ByRound(reference, scenario, CPU), r.ByRound(reference, first, CPU)).String()
		}},
		{"× " + reference, func(scenario string) string { return r.Ratio(wxgate, reference, scenario, CPU).String() }},
		{"req/s", number(wxgate, PerSecond)},
		{"p99 ms", func(scenario string) string { return Number(r.Median(wxgate, scenario, P99) / 1e3) }},
		{"failed %", func(scenario string) string { return failed(r, scenario) }},
		{"MiB", number(wxgate, Memory)},
		{reference + " MiB", number(reference, Memory)},
		{"held", number(wxgate, Held)},
		{"start ms", number(wxgate, Start)},
	}
}

// wxgate is the contestant whose growth is measured.
const wxgate = "wxgate"

// failed returns the share of requests that got no answer or another than the one wanted.
func failed(r *Run, scenario string) string {
	var bad, all float64
	for _, s := range r.Samples {
		if s.Contestant == wxgate && s.Scenario == scenario {
			bad += s.Values[Unexpected] + s.Values[Errors]
			all += s.Values[PerSecond]*s.Values[Seconds] + s.Values[Errors]
		}
	}
	if bad == 0 {
		return Number(math.NaN())
	}
	return Number(100 * bad / all)
}

func growthTable(r *Run, axis Axis, steps []string) *Table {
	name := func(step string) string { return axis.Name + "/" + step }
	table := &Table{Header: []string{axis.Name}}
	var used []growthColumn
	for _, column := range growthColumns(r, name(steps[0])) {
		for _, step := range steps {
			if column.value(name(step)) != Number(math.NaN()) {
				used, table.Header = append(used, column), append(table.Header, column.title)
				break
			}
		}
	}
	for _, step := range steps {
		row := []string{step}
		for _, column := range used {
			row = append(row, column.value(name(step)))
		}
		table.Add(row...)
	}
	return table
}

// growthPlot plots CPU time, or memory where no requests were measured.
func growthPlot(r *Run, axis Axis, steps []string) (file string, plot Lines) {
	plot = Lines{Title: "CPU time per request, µs", Axis: axis.About, Steps: steps}
	metric := CPU
	if math.IsNaN(r.Median(wxgate, axis.Name+"/"+steps[0], CPU)) {
		metric, plot.Title = Memory, "Resident memory, MiB"
	}
	for _, who := range []string{wxgate, reference} {
		line := Line{Name: who}
		some := false
		for _, step := range steps {
			value := r.Median(who, axis.Name+"/"+step, metric)
			line.Values, some = append(line.Values, value), some || !math.IsNaN(value)
		}
		if some {
			plot.Lines = append(plot.Lines, line)
		}
	}
	plot.Log = tenfold(plot.Lines)
	return "growth-" + axis.Name + ".svg", plot
}

// tenfold reports whether the values differ so much that small ones would not be seen.
func tenfold(lines []Line) bool {
	least, most := math.Inf(1), 0.0
	for _, line := range lines {
		for _, value := range line.Values {
			if !math.IsNaN(value) {
				least, most = min(least, value), max(most, value)
			}
		}
	}
	return most > 20*least
}
