package storage

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/tracing/span"
)

func TestEveryOperationHasALabel(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	if _, err := newMetrics(DriverBadger, span.Internal, reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("got %d families, %v, want 1", len(families), err)
	}
	if got := len(families[0].GetMetric()); got != int(opCount) {
		t.Errorf("operations: got %d, want %d", got, opCount)
	}
}
