package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAQuantileLiesBetweenItsNeighbours(t *testing.T) {
	t.Parallel()
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 0.25: 1.75, 1: 4} {
		if got := Quantile(values, q); got != want {
			t.Errorf("got %g, want %g, for quantile %g", got, want, q)
		}
	}
	if got := Median([]float64{7}); got != 7 {
		t.Errorf("got %g, want 7", got)
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("got %g, want NaN", got)
	}
	if values[0] != 4 {
		t.Error("the values were sorted in place")
	}
}

func TestRatiosArePairedByRound(t *testing.T) {
	t.Parallel()
	// The machine slowed down by ten in round 2, for both; round 3 lacks the reference, and round 4 the other.
	got := RatioOf(map[int]float64{0: 2, 1: 4, 2: 30, 3: 900}, map[int]float64{0: 1, 1: 2, 2: 10, 4: 1})
	if want := (Ratio{2, 2, 2.5, 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if none := RatioOf(map[int]float64{0: 1}, map[int]float64{1: 1}); none != (Ratio{}) || none.String() != "–" {
		t.Errorf("got %+v %q, want none", none, none)
	}
}

// peersRun is a run of three contestants, of which wxgate cannot keep up with 10,000 requests a second.
func peersRun() Run {
	r := Run{Machine: map[string]string{"cpu": "a <fast> one", "date": "2026-11-29"}}
	for round := range 3 {
		for name, factor := range map[string]float64{"haproxy-lean": 1, "wxgate": 2} {
			r.Samples = append(r.Samples,
				Sample{name, "sat", round, map[Metric]float64{CPU: 10 * factor, PerSecond: 90000 / factor, P99: 1500}},
				Sample{name, "rate@2000", round, map[Metric]float64{CPU: 20 * factor, PerSecond: 2001, P50: 100, P99: 1100}},
				Sample{name, "rate@10000", round, map[Metric]float64{CPU: 20 * factor, PerSecond: 10_000 / factor, P50: 100, P99: 1100}},
			)
		}
		r.Samples = append(r.Samples, Sample{"relay", "sat", round, map[Metric]float64{CPU: 5, PerSecond: 100_000}})
	}
	return r
}

func TestThePageOfThePeersHasRatiosAndLeavesOutWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	r := peersRun()
	page := Peers(&r, map[string]string{"relay": "the floor"})
	rows := map[string][]string{}
	for line := range strings.Lines(page.Markdown) {
		if cells := strings.Split(line, "|"); len(cells) > 5 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows[cells[1]] = cells[2:]
		}
	}
	if got := strings.Join(rows["wxgate"][:11], " "); got != "20.0 2.00 45,000 1.50 – – 40.0 2.00 1.10 – –" {
		t.Errorf("got %q for wxgate", got)
	}
	if got := strings.Join(rows["relay"][:5], " "); got != "5.00 0.50 100,000 – –" {
		t.Errorf("got %q for the floor", got)
	}
	for _, want := range []string{"a <fast> one", "- relay: the floor", "![peers-cpu](bench/peers-cpu.svg)"} {
		if !strings.Contains(page.Markdown, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if len(page.Plots) != 5 {
		t.Errorf("got %d plots, want 5", len(page.Plots))
	}
}

// wellFormed fails unless text is XML, and returns the numbers of its elements by name.
func wellFormed(t *testing.T, text string) map[string]int {
	t.Helper()
	count, decoder := map[string]int{}, xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if element, ok := token.(xml.StartElement); ok {
			count[element.Name.Local]++
			for _, attribute := range element.Attr {
				if strings.Contains(attribute.Value, "NaN") || strings.Contains(attribute.Value, "Inf") {
					t.Fatalf("%s=%q in %s", attribute.Name.Local, attribute.Value, element.Name.Local)
				}
			}
		}
	}
}

func TestPlotsAreWellFormedWhateverTheValues(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, svg := range map[string]string{
		"bars":     Bars{"a & b", []string{"<x>", "y"}, []Group{{"one", []float64{1, nan}}, {"two", []float64{1e6, 0}}}, false}.SVG(),
		"log bars": Bars{"a", []string{"x"}, []Group{{"one", []float64{0}}, {"two", []float64{3000}}}, true}.SVG(),
		"nothing":  Bars{Title: "a", Series: []string{"x"}, Groups: []Group{{"one", []float64{nan}}}, Log: true}.SVG(),
		"lines":    Lines{"a", "n", []string{"1", "10"}, []Line{{"<x>", []float64{nan, 5}}, {"y", []float64{1, 2}}, {"z", []float64{nan, nan}}}, false}.SVG(),
		"log line": Lines{"a", "n", []string{"1"}, []Line{{"x", []float64{1}}}, true}.SVG(),
		"no lines": Lines{Title: "a", Axis: "n"}.SVG(),
	} {
		if count := wellFormed(t, svg); count["svg"] != 1 || count["text"] == 0 {
			t.Errorf("%s: got elements %v", name, count)
		}
	}
	if count := wellFormed(t, Bars{"a", []string{"x", "y"}, []Group{{"one", []float64{1, nan}}, {"two", []float64{2, 3}}}, false}.SVG()); count["rect"] != 1+2+3 {
		t.Errorf("got %v, want the page, two of the legend and three bars", count)
	}
}

func TestAnAxisEndsAboveItsLargestValue(t *testing.T) {
	t.Parallel()
	for _, high := range []float64{0.003, 1, 7.3, 99, 100, 4321, 1e7} {
		for _, log := range []bool{false, true} {
			s := newScale([]float64{high / 3, high}, log)
			marks := s.marks()
			if last := marks[len(marks)-1]; last < high*.999 || len(marks) > 12 || len(marks) < 2 || s.at(high) > 1 {
				t.Errorf("got marks %v, want 2 to 12 of them up to %g", marks, high)
			}
		}
	}
}

func TestNumbersAreShortAndExactEnough(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{
		0: "0.00", 0.126: "0.13", 9.994: "9.99", 9.996: "10.0", 42.26: "42.3", 99.96: "100", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234",
	} {
		if got := Number(value); got != want {
			t.Errorf("got %s, want %s, for %g", got, want, value)
		}
	}
}

func TestColumnsAreAligned(t *testing.T) {
	t.Parallel()
	table := Table{Header: []string{"ä", "long header"}}
	table.Add("wide cell", "1")
	want := "| ä         | long header |\n| --------- | ----------: |\n| wide cell |           1 |\n"
	if got := table.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestOnlyTheGeneratedPartOfAPageChanges(t *testing.T) {
	t.Parallel()
	manual := t.TempDir()
	for _, file := range []string{"performance.md", "zh/performance.md"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(manual, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		text := "# " + file + "\n<!-- bench-x begin -->\nold\n<!-- bench-x end -->\nrest\n"
		if err := os.WriteFile(filepath.Join(manual, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := Page{"new ![x](bench/x.svg)\n", map[string]string{"x.svg": "<svg/>"}}
	for range 2 {
		if err := page.Publish(manual, "bench-x"); err != nil {
			t.Fatal(err)
		}
		for file, plot := range map[string]string{"performance.md": "bench/x.svg", "zh/performance.md": "../bench/x.svg"} {
			got, _ := os.ReadFile(filepath.Join(manual, file))
			want := "# " + file + "\n<!-- bench-x begin -->\n\nnew ![x](" + plot + ")\n\n<!-- bench-x end -->\nrest\n"
			if string(got) != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	if svg, err := os.ReadFile(filepath.Join(manual, "bench", "x.svg")); string(svg) != "<svg/>" {
		t.Errorf("got %q, %v", svg, err)
	}
	if _, err := Splice("no markers", "bench-x", "new"); err == nil {
		t.Error("a page without markers was accepted")
	}
}

func TestARunIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "new", "run.json")
	r := peersRun()
	r.Samples[0].Values[CPU] = 12.345678
	if err := r.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Samples) != len(r.Samples) || got.Samples[0].Values[CPU] != 12.35 || got.Machine["cpu"] != "a <fast> one" {
		t.Errorf("got %+v", got)
	}
}

func TestNewerSamplesReplaceThoseOfTheSameScenario(t *testing.T) {
	t.Parallel()
	r := peersRun()
	r.Replace(Run{Samples: []Sample{{"wxgate", "sat", 0, map[Metric]float64{CPU: 1}}, {"caddy", "sat", 0, map[Metric]float64{CPU: 9}}}})
	if got := r.Median("wxgate", "sat", CPU); got != 1 {
		t.Errorf("got %g, want 1", got)
	}
	if got := r.Median("haproxy-lean", "sat", CPU); got != 10 {
		t.Errorf("got %g, want 10 of the older run", got)
	}
	if got := r.Median("caddy", "sat", CPU); got != 9 {
		t.Errorf("got %g, want 9", got)
	}
}
