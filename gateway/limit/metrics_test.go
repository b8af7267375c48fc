package limit

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gathered are the gauges of a registry, by their name and the values of their labels.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			key := family.GetName()
			for _, label := range m.GetLabel() {
				key += " " + label.GetValue()
			}
			all[key] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestGaugesShowWhatWasLearnt(t *testing.T) {
	t.Parallel()
	slow := newBusy(4)
	load := &Load{services: map[string]*Adaptive{"slow": &slow.Adaptive, "idle": newAdaptive(), "removed": newAdaptive()}}
	reg, most := prometheus.NewRegistry(), slow.places
	RegisterGauges(reg, load, func() (int64, func(string) bool) {
		return most, func(upstream string) bool { return upstream != "removed" }
	})
	slow.run(100, 5*time.Second, func() time.Duration { return 10 * time.Millisecond })
	slow.run(1000, 20*time.Second, func() time.Duration { return 10 * time.Millisecond }) // it can do 400 a second
	slot, _ := load.Acquire(load.Service("idle"), Priority{Share: 100}, most)
	defer slot.Release()
	upload, _ := load.Acquire(load.Service("idle"), Priority{Share: 100, Upload: true}, most)
	defer upload.Release()
	got := gathered(t, reg)
	want := map[string]float64{
		"wxgate_slots": 1000, "wxgate_slots_used working": 1, "wxgate_slots_used uploading": 1,
		"wxgate_upstream_slots idle": 1000, "wxgate_upstream_slots_used idle": 1,
		"wxgate_upstream_slots slow": got["wxgate_upstream_slots slow"], "wxgate_upstream_slots_used slow": float64(slow.inFlight.Load()),
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want those of %v", got, want)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %v, want %v", key, got[key], value)
		}
	}
	if learnt := got["wxgate_upstream_slots slow"]; learnt < minSlots || learnt > 500 {
		t.Errorf("an overloaded service has %v slots, want fewer than 1000 by far", learnt)
	}
	most = 0
	for _, key := range []string{"wxgate_slots", "wxgate_upstream_slots slow", "wxgate_upstream_slots idle"} {
		if n := gathered(t, reg)[key]; n != 0 {
			t.Errorf("with the limit off %s is %v, want 0", key, n)
		}
	}
}
