package report

import (
	"path/filepath"
	"reflect"
	"testing"
)

func cost(median, low, high float64) BaselineCost {
	return BaselineCost{CPU: Ratio{median, low, high, 7}}
}

func TestAMoveIsMoreThanTheNoiseOfBoth(t *testing.T) {
	t.Parallel()
	counted := func(median float64) *Ratio { return &Ratio{median, median, median, 7} }
	old := Baseline{Scenarios: map[string]BaselineCost{
		"bad": cost(1, 0.99, 1.01), "big": cost(1, 0.8, 1.2), "new": cost(2, 1.98, 2.02), "sat": cost(1, 1, 1), "upload": cost(1, 1, 1),
	}}
	current := Baseline{Scenarios: map[string]BaselineCost{
		"bad": cost(1.2, 1.19, 1.21), "big": cost(1.3, 1.1, 1.5), "new": cost(1, 0.99, 1.01), "sat": cost(1.05, 1.04, 1.06),
	}}
	a, b := old.Scenarios["sat"], current.Scenarios["sat"]
	a.Instructions, b.Instructions = counted(1), counted(1.05)
	old.Scenarios["sat"], current.Scenarios["sat"] = a, b

	got := map[string]string{}
	for _, m := range Compare(old, current) {
		got[m.Scenario+" "+m.What] = map[bool]string{true: "worse"}[m.Worse()] + map[bool]string{true: "better"}[m.Better()]
	}
	want := map[string]string{"bad CPU": "worse", "big CPU": "", "new CPU": "better", "sat CPU": "", "sat instructions": "worse"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if row := cellsOf(Moves(Compare(old, current)).String(), "bad"); !reflect.DeepEqual(row, []string{"bad", "CPU", "1.00", "1.20", "+20", "8", "worse"}) {
		t.Errorf("got row %q", row)
	}
}

func TestABaselineIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	r := peersRun()
	for i := range r.Samples {
		if r.Samples[i].Contestant != "relay" {
			r.Samples[i].Values[Instructions] = 1000
		}
	}
	b := BaselineOf(&r)
	file := filepath.Join(t.TempDir(), "baseline.json")
	if err := b.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := ReadBaseline(file)
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("got %+v, %v, want %+v", got, err, b)
	}
	if sat := got.Scenarios["sat"]; sat.CPU.Median != 2 || sat.Instructions == nil || sat.Instructions.Median != 1 {
		t.Errorf("got %+v, want twice the CPU time and as many instructions", sat)
	}
}

func TestOnlyMeasuredCostsReplaceThoseOfTheBaseline(t *testing.T) {
	t.Parallel()
	old := Baseline{Scenarios: map[string]BaselineCost{"sat": cost(1, 1, 1), "bad": cost(2, 2, 2)}}
	got := old.Updated(Baseline{Scenarios: map[string]BaselineCost{"sat": cost(3, 3, 3), "bad": {}, "new": cost(4, 4, 4)}})
	if want := map[string]BaselineCost{"sat": cost(3, 3, 3), "bad": cost(2, 2, 2), "new": cost(4, 4, 4)}; !reflect.DeepEqual(got.Scenarios, want) {
		t.Errorf("got %v, want %v", got.Scenarios, want)
	}
}
