package header

import (
	"net/netip"
	"testing"

	"wxgate/message"
)

func TestAnElementOfXForwardedForIsReadWithPortAndBrackets(t *testing.T) {
	t.Parallel()
	for hop, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "203.0.113.7:5123": "203.0.113.7", "[2001:db8::1]:443": "2001:db8::1", "[2001:db8::1]": "2001:db8::1",
		"2001:DB8::1": "2001:db8::1", "::ffff:203.0.113.7": "203.0.113.7", "[::ffff:203.0.113.7]:80": "203.0.113.7", "fe80::1%eth0": "fe80::1",
		"[fe80::1%eth0]:80": "fe80::1", "[::1]:0": "::1",
		"": "", "unknown": "", "_hidden": "", "localhost": "", "203.0.113.7:": "", "203.0.113.7:x": "", "203.0.113.7:65536": "", "[203.0.113.7]": "",
		"[203.0.113.7]:80": "", "[2001:db8::1": "", "2001:db8::1]": "", "203.0.113.256": "", "010.0.0.1": "", "203.0.113.7 8": "", "for=203.0.113.7": "",
	} {
		got, ok := ParseHop(hop)
		if ok != (want != "") || ok && got != netip.MustParseAddr(want) {
			t.Errorf("%q: got %v, %v; want %q", hop, got, ok, want)
		}
	}
}

func TestAnEmptyViaAddsNothing(t *testing.T) {
	t.Parallel()
	req := message.Request{Version: "1.1"}
	req.Fields.Add("Via", "")
	req.Fields.Add("via", "1.0 a")
	if got := string(AppendVia(nil, &req)); got != "1.0 a, 1.1 wxgate" {
		t.Errorf("got %q, want 1.0 a, 1.1 wxgate", got)
	}
}
