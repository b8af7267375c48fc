package route

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// hostTable leads each host and path to "host path", entered in any order.
func hostTable(tb testing.TB, entries ...[2]string) *Table[string] {
	tb.Helper()
	t := new(Table[string])
	for _, i := range rand.Perm(len(entries)) {
		host, err := ParseHost(entries[i][0])
		if err != nil {
			tb.Fatal(err)
		}
		t.Of(host).Add(mustPattern(tb, entries[i][1]), AnyMethod, strings.Join(entries[i][:], " "))
	}
	return t
}

func TestTheMostSpecificHostWinsWhateverTheOrder(t *testing.T) {
	t.Parallel()
	for range 10 {
		table := hostTable(t, [][2]string{
			{"api.example.com", "/a"},
			{"*.example.com", "/a"},
			{"*.api.example.com", "/a"},
			{"", "/a"},
			{"*.example.com", "/wild/**"},
			{"", "/wild/special"},
			{"", "/**"},
			{"[2001:db8::1]", "/a"},
		}...)
		for _, row := range [][3]string{
			{"api.example.com", "/a", "api.example.com /a"},
			{"API.Example.COM:8443", "/a", "api.example.com /a"},
			{"api.example.com.", "/a", "api.example.com /a"},
			{"api.example.com..:80", "/a", "api.example.com /a"},
			{"www.example.com", "/a", "*.example.com /a"},
			{"x.y.example.com", "/a", "*.example.com /a"},
			{"v1.api.example.com", "/a", "*.api.example.com /a"},
			{"example.com", "/a", " /a"},
			{"badexample.com", "/a", " /a"},
			{".example.com", "/a", " /a"},
			{"", "/a", " /a"},
			{"[2001:DB8::1]:8080", "/a", "[2001:db8::1] /a"},
			{"[2001:db8:0:0::0001]", "/a", "[2001:db8::1] /a"},
			{"[2001:db8::2]", "/a", " /a"},
			{"]", "/a", " /a"},
			{"www.example.com", "/wild/special", "*.example.com /wild/**"}, // the host is decided on first
			{"api.example.com", "/wild/x", "*.example.com /wild/**"},       // a host without the path gives way
			{"api.example.com", "/other", " /**"},
		} {
			if got, ok := table.Find([]byte(row[0]), "GET", []byte(row[1])); !ok || got != row[2] {
				t.Errorf("%s %s: got %q, %v; want %q", row[0], row[1], got, ok, row[2])
			}
		}
	}
}

func TestHostsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"*", "*.", ".", ".example.com", "*example.com", "a.*.com", "**.example.com", "example.com:80", "http://a", "a/b", "a..b",
		"食谱.example", "a b", "[::1", "::1", "[x]", "example.com.",
	} {
		if key, err := ParseHost(host); err == nil {
			t.Errorf("%q: got %q, want an error", host, key)
		}
	}
}
