package wire_test

import (
	"testing"

	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
)

// judge gives the pieces to a Judge as a connection does, and returns what passed of them until the first refusal.
func judge(pieces ...string) (passed string, reason wire.Reason) {
	j := wire.NewJudge(&wire.Limits{MaxHeadBytes: 16 << 10, MaxFields: 100})
	var rest []byte
	for _, piece := range pieces {
		rest = append(rest, piece...)
		for pass := -1; pass != 0 && len(rest) > 0; rest = rest[pass:] {
			if pass, reason = j.Pass(rest); reason != "" {
				return passed + string(rest[:pass]), reason
			}
			passed += string(rest[:pass])
		}
	}
	return passed, ""
}

// TestTheJudgeNeedsNoConnection has every case judged whole, cut in two, and byte for byte.
func TestTheJudgeNeedsNoConnection(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		in := c.In()
		bytes := make([]string, len(in))
		for i := range len(in) {
			bytes[i] = in[i : i+1]
		}
		for _, pieces := range [][]string{{in}, {in[:len(in)/2], in[len(in)/2:]}, bytes} {
			if passed, reason := judge(pieces...); passed != c.Pass || reason != c.Want {
				t.Errorf("%s (%s), %d pieces:\n got %q, reason %q\nwant %q, reason %q", c.Name, c.Rule, len(pieces), passed, reason, c.Pass, c.Want)
			}
		}
	}
}
