package revocation

import (
	"testing"
	"time"

	"wxgate/storage"
)

func TestAReplacedTokenIsRefusedByWhenItWasIssued(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	// A token of second 100 was replaced at 200, with a grace until 260; one of second 40 had been replaced before.
	r := newRefusal(storage.Revocation{
		Scope: storage.ScopeSession, Before: at(200), Spare: at(100), From: at(260), Until: at(1000),
	})
	for _, c := range []struct {
		issued, now int64
		want        bool
	}{
		{200, 200, false}, {200, 5000, false}, {320, 400, false}, // the current one, and later ones
		{100, 200, false}, {100, 259, false}, {100, 260, true}, {100, 5000, true}, // the one that was replaced
		{40, 200, true}, {40, 260, true}, {99, 201, true}, // those before it
	} {
		if got := r.replaced(c.issued, c.now*1000); got != c.want {
			t.Errorf("a token of second %d at second %d: refused is %t, want %t", c.issued, c.now, got, c.want)
		}
		if r.covers(c.now * 1000) {
			t.Errorf("at second %d the whole session is refused, want its replaced tokens alone", c.now)
		}
	}
}

func TestWhatIsRefusedDoesNotEndWithAClock(t *testing.T) {
	t.Parallel()
	from, until := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	const year = 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		scope storage.Scope
		at    time.Time
		want  bool
	}{
		"an ended session, the clock far ahead": {storage.ScopeSession, from.Add(14 * year), true},
		"an ended session, the clock set back":  {storage.ScopeSession, from.Add(-56 * year), true},
		"a ban, the clock set back":             {storage.ScopeUser, from.Add(-56 * year), true},
		"a ban that lasts":                      {storage.ScopeUser, until.Add(-time.Second), true},
		"a ban that is over":                    {storage.ScopeUser, until, false},
		"a token, before its grace ends":        {storage.ScopeToken, from.Add(-time.Second), false},
		"a token, the clock far ahead":          {storage.ScopeToken, from.Add(14 * year), true},
	} {
		r := newRefusal(storage.Revocation{Scope: c.scope, From: from, Until: until})
		if got := r.covers(c.at.UnixMilli()); got != c.want {
			t.Errorf("%s: refused is %t, want %t", name, got, c.want)
		}
	}
}

func TestTwoRefusalsOfOneKeyAreJoinedWhateverTheirOrder(t *testing.T) {
	t.Parallel()
	end := refusal{scope: 's', from: 5, until: 50, seq: 2}
	older := refusal{scope: 's', from: 7, until: 70, seq: 1, before: 10, spare: 5}
	newer := refusal{scope: 's', from: 9, until: 60, seq: 3, before: 20, spare: 10}
	ban, lift := refusal{scope: 'u', from: 1, until: 99, seq: 1}, refusal{scope: 'u', from: 500, until: 500, seq: 2}
	for name, c := range map[string]struct {
		a, b refusal
		want refusal
	}{
		"two rotations":               {older, newer, refusal{scope: 's', from: 9, until: 70, seq: 3, before: 20, spare: 10}},
		"a rotation before the end":   {older, end, refusal{scope: 's', from: 5, until: 70, seq: 2}},
		"a rotation after the end":    {end, newer, refusal{scope: 's', from: 5, until: 60, seq: 3}},
		"a ban and its lifting":       {ban, lift, lift},
		"the end, and the end again":  {end, refusal{scope: 's', from: 8, until: 80, seq: 4}, refusal{scope: 's', from: 5, until: 80, seq: 4}},
		"two of foreign tokens":       {refusal{scope: 'f', from: 9, until: 90, seq: 1}, refusal{scope: 'f', from: 3, until: 30, seq: 2}, refusal{scope: 'f', from: 9, until: 90, seq: 2}},
		"one refusal with itself":     {newer, newer, newer},
		"a token that ends two times": {refusal{scope: 't', from: 3, until: 9, seq: 1}, refusal{scope: 't', from: 4, until: 8, seq: 2}, refusal{scope: 't', from: 3, until: 9, seq: 2}},
	} {
		if got := c.a.join(c.b); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
		if got := c.b.join(c.a); got != c.want {
			t.Errorf("%s, the other way round: got %+v, want %+v", name, got, c.want)
		}
	}
}
