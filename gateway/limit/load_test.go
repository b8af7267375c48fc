package limit

import "testing"

// TestARefusalSaysWhichBoundItExceeded, so that whoever reads the log knows what to change.
func TestARefusalSaysWhichBoundItExceeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		slots, pace int64
		as          Priority
		want        Bound
	}{
		{4, 4, Priority{Share: 100}, Unbounded},
		{1, 4, Priority{Share: 100}, InFlight},
		{3, 4, Priority{Share: 100, Upload: true}, Uploads},
		{4, 1, Priority{Share: 100}, Pace},
	} {
		var l Load
		service := l.Service("recipes")
		service.slots.Store(c.pace)
		held, _ := l.Acquire(service, Priority{Share: 100}, c.slots)
		upload, _ := l.Acquire(service, Priority{Share: 100, Upload: true}, c.slots)
		slot, exceeded := l.Acquire(service, c.as, c.slots)
		if exceeded != c.want {
			t.Errorf("%+v: exceeded is %q, want %q", c, exceeded, c.want)
		}
		if slot.IsHeld() != (c.want == Unbounded) {
			t.Errorf("%+v: the slot is held: %v", c, slot.IsHeld())
		}
		for _, s := range []*Slot{&held, &upload, &slot} {
			s.Release()
		}
		if all, uploads := l.Taken(); all != 0 || uploads != 0 {
			t.Errorf("%+v: %d slots stay taken, %d of uploads", c, all, uploads)
		}
	}
}
