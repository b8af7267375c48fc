package http1

import (
	"bytes"
	"strings"
	"testing"
)

func TestTokensAreThoseOfTheRFC(t *testing.T) {
	t.Parallel()
	const letters = "abcdefghijklmnopqrstuvwxyz"
	token := "!#$%&'*+-.^_`|~0123456789" + letters + strings.ToUpper(letters)
	for c := range 256 {
		if got, want := isToken([]byte{'a', byte(c)}), c < 128 && strings.ContainsRune(token, rune(c)); got != want {
			t.Errorf("%q is of a token: %v, want %v", rune(c), got, want)
		}
	}
	if isToken(nil) {
		t.Error("nothing is a token")
	}
}

func TestControlBytesAreFoundWhereverTheyStand(t *testing.T) {
	t.Parallel()
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				for _, around := range []byte{'a', 0xff, ' ', '\t', '~'} {
					b := bytes.Repeat([]byte{around}, size)
					b[at] = byte(c)
					if got, want := clean(b), (c >= ' ' || c == '\t') && c != 0x7f; got != want {
						t.Fatalf("%q is clean: %v, want %v", b, got, want)
					}
				}
			}
		}
	}
}

func TestWhiteSpaceIsTrimmedOnBothSides(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", " ": "", "\t \t": "", "a": "a", " \ta b\t ": "a b", "a ": "a", "\r a": "\r a"} {
		if got := string(trim([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
