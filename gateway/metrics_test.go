package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// count is the sum of a counter or gauge over the series that have all the labels, each written name="value".
func (e *edge) count(tb testing.TB, name string, labels ...string) float64 {
	tb.Helper()
	families, err := e.deps.Metrics.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var has strings.Builder
			for _, l := range m.GetLabel() {
				fmt.Fprintf(&has, "%s=%q ", l.GetName(), l.GetValue())
			}
			if family.GetName() == name && holdsAll(has.String(), labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func holdsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
