package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Metric is what was measured in a sample.
type Metric string

// The metrics.
const (
	CPU          Metric = "cpu_us"       // CPU time of the contestant, per request
	PerSecond    Metric = "per_second"   // answers
	P50          Metric = "p50_us"       // latency
	P99          Metric = "p99_us"       // latency
	Seconds      Metric = "seconds"      // how long the slice was
	Unexpected   Metric = "unexpected"   // answers with another status than the one wanted
	Errors       Metric = "errors"       // requests whose connection ended
	Switches     Metric = "switches"     // context switches per request
	Instructions Metric = "instructions" // per request, where the machine counts them
	Memory       Metric = "memory_mb"    // resident
	Held         Metric = "held"         // connections that stayed open
	IdleCPU      Metric = "idle_cpu"     // percent of a CPU while nobody asks anything
	WakeUps      Metric = "wake_ups"     // per second, while nobody asks anything
	Start        Metric = "start_ms"     // from the start of the process to its first answer
)

// Sample is one measurement of one contestant.
type Sample struct {
	Contestant string             `json:"contestant"`
	Scenario   string             `json:"scenario"`
	Round      int                `json:"round"` // those of one round were measured one right after the other
	Values     map[Metric]float64 `json:"values"`
}

// Run is what one run of a benchmark gave, as it is kept in a file.
type Run struct {
	Machine map[string]string `json:"machine"` // what it ran on: cpu, kernel, date, versions
	Samples []Sample          `json:"samples"`
}

// ByRound returns a metric of a contestant in a scenario.
func (r *Run) ByRound(contestant, scenario string, metric Metric) map[int]float64 {
	found := map[int]float64{}
	for _, s := range r.Samples {
		if value, ok := s.Values[metric]; ok && s.Contestant == contestant && s.Scenario == scenario {
			found[s.Round] = value
		}
	}
	return found
}

// Median returns the median of a metric over all rounds, NaN if it was never measured.
func (r *Run) Median(contestant, scenario string, metric Metric) float64 {
	return Median(slices.Collect(maps.Values(r.ByRound(contestant, scenario, metric))))
}

// Ratio compares a metric with that of the reference, paired by round.
func (r *Run) Ratio(contestant, reference, scenario string, metric Metric) Ratio {
	return RatioOf(r.ByRound(contestant, scenario, metric), r.ByRound(reference, scenario, metric))
}

// Scenarios returns what was measured, in the order of the run.
func (r *Run) Scenarios() []string {
	return distinct(r.Samples, func(s Sample) string { return s.Scenario })
}

// Contestants returns who was measured, in the order of the run.
func (r *Run) Contestants() []string {
	return distinct(r.Samples, func(s Sample) string { return s.Contestant })
}

func distinct(samples []Sample, name func(Sample) string) (names []string) {
	for _, s := range samples {
		if !slices.Contains(names, name(s)) {
			names = append(names, name(s))
		}
	}
	return names
}

// Replace puts newer samples into r; older ones of the same contestants and scenarios go.
func (r *Run) Replace(newer Run) {
	if len(newer.Samples) > 0 {
		r.Machine = newer.Machine
	}
	r.Samples = slices.DeleteFunc(r.Samples, func(old Sample) bool {
		return slices.ContainsFunc(newer.Samples, func(s Sample) bool {
			return s.Contestant == old.Contestant && s.Scenario == old.Scenario
		})
	})
	r.Samples = append(r.Samples, newer.Samples...)
}

// Read reads the file of a run.
func Read(file string) (Run, error) {
	var r Run
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Write writes a run with a line per sample and four digits per value.
func (r *Run) Write(file string) error {
	machine, err := json.Marshal(r.Machine)
	if err != nil {
		return err
	}
	text := bytes.NewBufferString(fmt.Sprintf("{\"machine\": %s, \"samples\": [", machine))
	for i, s := range r.Samples {
		line, err := json.Marshal(s.rounded())
		if err != nil {
			return fmt.Errorf("%s in %s: %w", s.Contestant, s.Scenario, err)
		}
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(text, "\n%s", line)
	}
	text.WriteString("\n]}\n")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o644)
}

func (s Sample) rounded() Sample {
	values := map[Metric]float64{}
	for metric, value := range s.Values {
		values[metric], _ = strconv.ParseFloat(strconv.FormatFloat(value, 'g', 4, 64), 64)
	}
	s.Values = values
	return s
}

// sortSteps sorts labels that are numbers by their value.
func sortSteps(steps []string) {
	slices.SortStableFunc(steps, func(a, b string) int {
		x, _ := strconv.Atoi(strings.ReplaceAll(a, ",", ""))
		y, _ := strconv.Atoi(strings.ReplaceAll(b, ",", ""))
		return x - y
	})
}
