package message

import (
	"slices"
	"testing"
)

// list are the lines of f as text.
func list(f *Fields) (lines []string) {
	for name, value := range f.All() {
		lines = append(lines, string(name)+"="+string(value))
	}
	return lines
}

func TestLinesKeepTheirOrderAndSpelling(t *testing.T) {
	t.Parallel()
	var f Fields
	f.Add("Set-Cookie", "a=1")
	f.AddBytes([]byte("x-A"), []byte("1"))
	f.Add("set-cookie", "b=2")
	f.Add("Via", "")
	if got, want := list(&f), []string{"Set-Cookie=a=1", "x-A=1", "set-cookie=b=2", "Via="}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(f.Get("SET-COOKIE")); got != "a=1" {
		t.Errorf("the first one is %q, want a=1", got)
	}
	f.Set("X-a", "2")
	if got, want := string(f.AppendTo([]byte("> "))), "> Set-Cookie: a=1\r\nset-cookie: b=2\r\nVia: \r\nX-a: 2\r\n"; got != want {
		t.Errorf("as sent: %q, want %q", got, want)
	}
	if f.Del("set-cookie"); f.Has("Set-Cookie") || f.Len() != 2 {
		t.Errorf("after Del: %q", list(&f))
	}
	f.Reset()
	f.Add("A", "b")
	if got, want := string(f.AppendTo(nil)), "A: b\r\n"; got != want {
		t.Errorf("after Reset: %q, want %q", got, want)
	}
}

// TestAViewNeverWritesToItsText guards the requests that follow in the buffer of a connection.
func TestAViewNeverWritesToItsText(t *testing.T) {
	t.Parallel()
	const next = "GET / HTTP/1.1"
	buffer := []byte("A: 1\r\nB:2\r\n" + next)
	var f Fields
	f.View(buffer[:11], []Line{{Name: Range{0, 1}, Value: Range{3, 4}}, {Name: Range{6, 7}, Value: Range{8, 9}}})
	f.Add("C", "3")
	f.Set("a", "4")
	if got, want := string(f.AppendTo(nil)), "B: 2\r\nC: 3\r\na: 4\r\n"; got != want {
		t.Errorf("as sent: %q, want %q", got, want)
	}
	f.Reset()
	f.Add("D", "5")
	if got := string(buffer); got != "A: 1\r\nB:2\r\n"+next {
		t.Errorf("the text has become %q", got)
	}
}

func TestNamesMatchInASCIICaseOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, other string
		same        bool
	}{
		{"Host", "hOST", true},
		{"Host", "Hos", false},
		{"", "", true},
		{"a-b", "A-B", true},
		{"a_b", "a-b", false},
		{"a@", "a`", false},
		{"[", "{", false},
		{"\xe4", "\xc4", false},
		{"1", "\x11", false},
	} {
		if got := EqualFold([]byte(c.name), c.other); got != c.same {
			t.Errorf("%q and %q: %v, want %v", c.name, c.other, got, c.same)
		}
	}
}
