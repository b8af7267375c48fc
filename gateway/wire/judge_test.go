package wire_test

import (
	"slices"
	"testing"

	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
	"wxgate/message"
)

// judge gives the pieces to a Judge as a connection does, and returns what was good of them until the first refusal.
func judge(pieces ...string) (passed string, reason wire.Reason) {
	j := wire.NewJudge(&wire.Limits{MaxHeadBytes: 16 << 10, MaxFields: 100})
	var rest []byte
	for _, piece := range pieces {
		rest = append(rest, piece...)
		for pass := -1; pass != 0 && len(rest) > 0; rest = rest[pass:] {
			if j.InHead() {
				if pass, reason = j.Head(rest); pass > 0 {
					j.Request(rest[:pass], new(message.Request))
				}
			} else {
				_, pass, reason = j.Body(rest)
			}
			passed += string(rest[:pass])
			if reason != "" {
				return passed, reason
			}
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

func TestARequestIsWhatItsHeadSays(t *testing.T) {
	t.Parallel()
	j := wire.NewJudge(&wire.Limits{MaxHeadBytes: 16 << 10, MaxFields: 100})
	head := []byte("\r\nPOST /a?b=c HTTP/1.9\r\nhOST: \t h:80 \t\r\nA:b\r\nEmpty:\r\nContent-Length: 3\r\nExpect: 100-Continue\r\nconnection: x, Close\r\n\r\n")
	n, reason := j.Head(head)
	if n != len(head) || reason != "" {
		t.Fatalf("got %d, %q, want %d", n, reason, len(head))
	}
	var req message.Request
	connection := j.Request(head[:n], &req)
	if req.Method != "POST" || string(req.Target) != "/a?b=c" || string(req.Host) != "h:80" || req.Version != "1.1" || req.Length != 3 {
		t.Errorf("got %q %q, Host %q, version %s, %d bytes", req.Method, req.Target, req.Host, req.Version, req.Length)
	}
	if connection != (wire.Connection{ExpectsContinue: true}) {
		t.Errorf("got %+v, want one that closes and waits for 100", connection)
	}
	var lines []string
	for name, value := range req.Fields.All() {
		lines = append(lines, string(name)+"="+string(value))
	}
	want := []string{"hOST=h:80", "A=b", "Empty=", "Content-Length=3", "Expect=100-Continue", "connection=x, Close"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestPersistenceFollowsTheVersion(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n":                                     true,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":                false,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive,CLOSE\r\n\r\n":     false,
		"GET / HTTP/1.0\r\n\r\n":                                                false,
		"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n":                      true,
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n": false,
	} {
		j := wire.NewJudge(&wire.Limits{MaxHeadBytes: 16 << 10, MaxFields: 100})
		if n, _ := j.Head([]byte(in)); n != len(in) {
			t.Fatalf("%q is no whole head", in)
		}
		if got := j.Request([]byte(in), new(message.Request)); got.Persistent != want {
			t.Errorf("%q: persistent is %v, want %v", in, got.Persistent, want)
		}
	}
}
