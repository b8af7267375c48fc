package acme

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mholt/acmez/v3/acme"
)

// TestStrangersShareALookup lets a hundred ask for a domain at once: they cause a lookup, which each of them hears of.
func TestStrangersShareALookup(t *testing.T) {
	t.Parallel()
	var all lookups
	var reads atomic.Int64
	read := func(domain string) acme.Challenge {
		reads.Add(1)
		return acme.Challenge{Token: "of " + domain}
	}
	var asking sync.WaitGroup
	for range 100 {
		asking.Go(func() {
			if got := all.find(t.Context(), "api.test", read); got.Token != "of api.test" {
				t.Errorf("got %q, want that of api.test", got.Token)
			}
		})
	}
	asking.Wait()
	if n := reads.Load(); n > 20 { // one, unless the machine is so busy that they ask at different times
		t.Errorf("100 who asked at once caused %d lookups", n)
	}
	before := reads.Load()
	all.find(t.Context(), "api.test", read)
	if reads.Load() != before+1 {
		t.Errorf("one who asks later caused %d lookups, want one of its own", reads.Load()-before)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if got := all.find(ended, "other.test", read); got.Token != "" {
		t.Errorf("one who has left: got %q, want nothing", got.Token)
	}
}
