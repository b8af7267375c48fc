package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

// Baseline is what wxgate cost against the reference when it was last decided that this is right.
type Baseline struct {
	Machine   map[string]string       `json:"machine"`
	Scenarios map[string]BaselineCost `json:"scenarios"`
}

// BaselineCost is the cost of a scenario against the reference's.
type BaselineCost struct {
	CPU          Ratio  `json:"cpu"`
	Instructions *Ratio `json:"instructions,omitempty"` // nil where the machine does not count them
}

// BaselineOf returns the costs of a run.
func BaselineOf(r *Run) Baseline {
	b := Baseline{Machine: r.Machine, Scenarios: map[string]BaselineCost{}}
	for _, scenario := range r.Scenarios() {
		cost := BaselineCost{CPU: r.Ratio(wxgate, reference, scenario, CPU)}
		if counted := r.Ratio(wxgate, reference, scenario, Instructions); counted.Rounds > 0 {
			cost.Instructions = &counted
		}
		b.Scenarios[scenario] = cost
	}
	return b
}

// Move is how a cost changed.
type Move struct {
	Scenario string
	What     string // CPU or instructions
	Old, New Ratio
	Change   float64 // New / Old - 1
	Allowed  float64 // changes up to it are noise
}

// Worse reports whether the cost has grown by more than noise.
func (m Move) Worse() bool { return m.Change > m.Allowed }

// Better reports whether the cost has shrunk by more than noise.
func (m Move) Better() bool { return m.Change < -m.Allowed }

// Compare returns a Move per cost that both have, by scenario.
func Compare(old, current Baseline) (moves []Move) {
	for _, scenario := range slices.Sorted(maps.Keys(old.Scenarios)) {
		a, b := old.Scenarios[scenario], current.Scenarios[scenario]
		if a.CPU.Rounds > 0 && b.CPU.Rounds > 0 {
			moves = append(moves, moveOf(scenario, "CPU", a.CPU, b.CPU, 0.08))
		}
		if a.Instructions != nil && b.Instructions != nil {
			moves = append(moves, moveOf(scenario, "instructions", *a.Instructions, *b.Instructions, 0.03))
		}
	}
	return moves
}

// moveOf allows for as much as either was uncertain by, and for least in any case.
func moveOf(scenario, what string, a, b Ratio, least float64) Move {
	uncertain := func(r Ratio) float64 { return (r.High - r.Low) / 2 / r.Median }
	return Move{scenario, what, a, b, b.Median/a.Median - 1, max(least, uncertain(a)+uncertain(b))}
}

// Updated returns b with the costs that were measured in newer.
func (b Baseline) Updated(newer Baseline) Baseline {
	all := map[string]BaselineCost{}
	maps.Copy(all, b.Scenarios)
	for scenario, cost := range newer.Scenarios {
		if cost.CPU.Rounds > 0 {
			all[scenario] = cost
		}
	}
	return Baseline{newer.Machine, all}
}

// Moves renders a comparison.
func Moves(moves []Move) *Table {
	table := &Table{Header: []string{"scenario", "cost", "baseline", "now", "change %", "noise %", "moved"}}
	for _, m := range moves {
		moved := ""
		switch {
		case m.Worse():
			moved = "worse"
		case m.Better():
			moved = "better"
		}
		table.Add(m.Scenario, m.What, m.Old.String(), m.New.String(), fmt.Sprintf("%+.0f", 100*m.Change), fmt.Sprintf("%.0f", 100*m.Allowed), moved)
	}
	return table
}

// ReadBaseline reads the file of a baseline.
func ReadBaseline(file string) (b Baseline, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// Write writes the file of a baseline.
func (b Baseline) Write(file string) error {
	for scenario, cost := range b.Scenarios {
		cost.CPU = cost.CPU.rounded()
		if cost.Instructions != nil {
			counted := cost.Instructions.rounded()
			cost.Instructions = &counted
		}
		b.Scenarios[scenario] = cost
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func (r Ratio) rounded() Ratio {
	thousandth := func(v float64) float64 { return math.Round(v*1000) / 1000 }
	return Ratio{thousandth(r.Median), thousandth(r.Low), thousandth(r.High), r.Rounds}
}
