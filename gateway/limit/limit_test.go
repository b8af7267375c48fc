package limit

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
)

func TestAClientHoldsAsManyAsItsBoundAndNoMore(t *testing.T) {
	t.Parallel()
	l := NewLedger()
	for _, k := range allKinds() {
		holds := make([]Hold, 4)
		for i := range holds {
			holds[i] = l.Of(User(7))
			if got, want := holds[i].Take(k, 3), i < 3; got != want {
				t.Errorf("%v, request %d: got %v, want %v", k, i+1, got, want)
			}
		}
		other := l.Of(User(8))
		if !other.Take(k, 3) {
			t.Errorf("%v: another user is refused", k)
		}
		giveBack(&holds[0], k)
		if !holds[3].Take(k, 3) {
			t.Errorf("%v: what was given back cannot be taken", k)
		}
		other.Close()
		for i := range holds {
			holds[i].Close()
		}
	}
	if n := l.Clients(); n != 0 {
		t.Errorf("%d clients are left in the ledger, want none", n)
	}
}

func TestWithoutABoundEverythingIsTakenAndCounted(t *testing.T) {
	t.Parallel()
	l := NewLedger()
	holds := make([]Hold, 1000)
	for i := range holds {
		holds[i] = l.Of(Crowd())
		if !holds[i].Take(Requests, 0) {
			t.Fatalf("request %d is refused", i)
		}
	}
	late := l.Of(Crowd())
	if late.Take(Requests, 1000) { // a reload sets a bound
		t.Error("a bound that comes later does not count what is held")
	}
	for i := range holds {
		holds[i].Close()
	}
	if l.Clients() != 0 {
		t.Error("the ledger is not empty")
	}
}

func TestWhatIsMovedOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	l := NewLedger()
	request := l.Of(User(7))
	if !request.Take(Requests, 1) || !request.Take(Connections, 1) || !request.Take(Requests, 1) {
		t.Fatal("what is held already is taken twice")
	}
	stream := request.Move(Connections)
	nothing := request.Move(WebSockets)
	nothing.Close()
	request.Close()
	request.Close()
	next := l.Of(User(7))
	if !next.Take(Requests, 1) || next.Take(Connections, 1) {
		t.Error("want the request free and the connection held")
	}
	giveBack(&stream, Connections)
	giveBack(&stream, Connections)
	if !next.Take(Connections, 1) {
		t.Error("the connection is held after its end")
	}
	next.Close()
	if n := l.Clients(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
}

func TestAddressesAreThoseThatTellClientsApart(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	for _, pair := range [][2]string{{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8::1%eth0", "2001:db8::2"}} {
		if Address(addr(pair[0])) != Address(addr(pair[1])) {
			t.Errorf("%s and %s are two clients, want one", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"2001:db8:1:2::1", "2001:db8:1:3::1"}, {"192.0.2.1", "192.0.2.2"}, {"192.0.2.1", "127.0.0.1"}} {
		if Address(addr(pair[0])) == Address(addr(pair[1])) {
			t.Errorf("%s and %s are one client, want two", pair[0], pair[1])
		}
	}
	for _, shared := range []string{"127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "fe80::1", "fd00::1", "100.64.3.4", "::ffff:10.0.0.1", "0.0.0.0"} {
		if c := Address(addr(shared)); !c.IsCrowd() || c.label() != "crowd" {
			t.Errorf("%s is %q, want the crowd", shared, c.label())
		}
	}
	if !Address(netip.Addr{}).IsCrowd() {
		t.Error("no address is a client of its own, want the crowd")
	}
	if User(0) == Crowd() || User(0x20010db8<<32) == Address(addr("2001:db8::")) || User(1).label() != "user" || Address(addr("192.0.2.1")).label() != "address" {
		t.Error("a user is taken for an address")
	}
}

// TestTheLedgerIsEmptyAfterAStorm takes and gives back on many goroutines, in every order.
func TestTheLedgerIsEmptyAfterAStorm(t *testing.T) {
	t.Parallel()
	l := NewLedger()
	var storm sync.WaitGroup
	for range 16 {
		storm.Go(func() {
			for range 2000 {
				h := l.Of(User(rand.Int64N(50)))
				for _, k := range allKinds() {
					h.Take(k, 5)
				}
				stream := h.Move(Connections)
				if rand.IntN(2) == 0 {
					giveBack(&h, Requests)
				}
				h.Close()
				stream.Close()
			}
		})
	}
	storm.Wait()
	if n := l.Clients(); n != 0 {
		t.Errorf("%d clients are left in the ledger, want none", n)
	}
}

// TestTheLedgerIsWhatItsPlainModelIs compares it with a map, while its tables grow, shrink and close gaps.
func TestTheLedgerIsWhatItsPlainModelIs(t *testing.T) {
	t.Parallel()
	l, model := NewLedger(), map[Client][kinds]int{}
	var open []Hold
	for step := range 200_000 {
		if grow := step/20_000%2 == 0; len(open) == 0 || rand.IntN(100) < 45+10*map[bool]int{true: 1}[grow] {
			c, k := User(rand.Int64N(5000)), allKinds()[rand.IntN(int(kinds))]
			held := model[c]
			h := l.Of(c)
			if got, want := h.Take(k, 3), held[k] < 3; got != want {
				t.Fatalf("step %d: taking %v of a client that holds %v: got %v, want %v", step, k, held, got, want)
			}
			if held[k] < 3 {
				held[k]++
				model[c] = held
				open = append(open, h)
			}
			continue
		}
		i := rand.IntN(len(open))
		h := open[i]
		open[i], open = open[len(open)-1], open[:len(open)-1]
		held := model[h.Client()]
		for k := range kinds {
			held[k] -= int(h.held >> k & 1)
		}
		if model[h.Client()] = held; held == [kinds]int{} {
			delete(model, h.Client())
		}
		if h.Close(); l.Clients() != len(model) {
			t.Fatalf("step %d: %d clients, want %d", step, l.Clients(), len(model))
		}
	}
	for i := range open {
		open[i].Close()
	}
	if n := l.Clients(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
	for i := range l.shards {
		if n := len(l.shards[i].entries); n != minEntries {
			t.Errorf("shard %d keeps %d slots for nobody, want %d", i, n, minEntries)
		}
	}
}

// BenchmarkHold is what the ledger adds to a forwarded request.
func BenchmarkHold(b *testing.B) {
	l := NewLedger()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for i := int64(0); p.Next(); i++ {
			h := l.Of(User(i % 1000))
			h.Take(Requests, 64)
			h.Take(Connections, 64)
			h.Close()
		}
	})
}

// releaseCapacity gives one of a kind back, if it is held.
func giveBack(h *Hold, k Kind) {
	moved := h.Move(k)
	moved.Close()
}
