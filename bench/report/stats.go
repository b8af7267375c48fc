// Package report turns the samples of a benchmark into medians, ratios, tables, plots and the generated parts of the
// manual. It measures nothing.
package report

import (
	"math"
	"slices"
)

// Quantile returns the value that a share q of the values does not exceed, between two of them if need be; NaN of none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Median returns the middle one of the values, NaN of none.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Ratio is a median of ratios that were paired by round, with its quartiles. The zero value is of no rounds.
type Ratio struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Rounds int     `json:"rounds"`
}

// RatioOf divides what two contestants gave in the same rounds; rounds that one of them lacks are left out.
func RatioOf(values, reference map[int]float64) Ratio {
	var ratios []float64
	for round, value := range values {
		if base := reference[round]; base > 0 {
			ratios = append(ratios, value/base)
		}
	}
	if len(ratios) == 0 {
		return Ratio{}
	}
	return Ratio{Median(ratios), Quantile(ratios, .25), Quantile(ratios, .75), len(ratios)}
}
