package gateway

import (
	"net/netip"
	"testing"
	"time"
)

func TestABucketGivesItsBurstThenItsRate(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := newLimiter[netip.Addr](LimitConfig{Rate: Rate{60, time.Minute}, Burst: 3}, func() time.Time { return now })
	alice, bob := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for i, want := range []bool{true, true, true, false} {
		if got := l.allow(alice); got != want {
			t.Errorf("request %d: got %v, want %v", i+1, got, want)
		}
	}
	if !l.allow(bob) {
		t.Error("another address is refused")
	}
	now = now.Add(time.Second)
	if !l.allow(alice) || l.allow(alice) {
		t.Error("a second later one more request should pass, and only one")
	}
}

func TestOneSubscriberIsOneBucketAndQuietOnesAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := newLimiter[netip.Addr](LimitConfig{Rate: Rate{1, time.Second}, Burst: 1}, func() time.Time { return now })
	if !l.allow(subscriber(netip.MustParseAddr("2001:db8::1"))) || l.allow(subscriber(netip.MustParseAddr("2001:db8::2"))) {
		t.Error("two addresses of one /64 should share a bucket")
	}
	now = now.Add(time.Minute)
	for i := range 256 {
		l.allow(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	now = now.Add(time.Minute)
	for i := range 256 {
		l.allow(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}))
	}
	held := 0
	for i := range l.shards {
		held += len(l.shards[i].arrival)
	}
	if held > 320 {
		t.Errorf("%d addresses are held, want about 256", held)
	}
}

func netPrefix(t *testing.T, cidr string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
