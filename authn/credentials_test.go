package authn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestATokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		line  string
		token string
		err   error
	}{
		{"Bearer abc", "abc", nil},
		{"bearer   abc  ", "abc", nil},
		{"BEARER a.b-c_d~e+f/g==", "a.b-c_d~e+f/g==", nil},
		{"Bearer x", "x", nil},
		{"", "", ErrTokenMissing},
		{"Bearer", "", ErrTokenMissing},
		{"Bearer ", "", ErrTokenMissing},
		{"bearer    ", "", ErrTokenMissing},
		{"Bearer null", "", ErrTokenMissing},
		{"Bearer undefined", "", ErrTokenMissing},
		{"null", "", ErrTokenMissing},
		{"undefined", "", ErrTokenMissing},
		{"Bearer\tabc", "", ErrTokenMalformed},
		{"Bearer \tabc", "", ErrTokenMalformed},
		{"Bearer abc\t\t", "", ErrTokenMalformed},
		{"Bearer \u0085abc", "", ErrTokenMalformed},
		{"Bearer abc\u00a0", "", ErrTokenMalformed},
		{"Bearer abc\u3000", "", ErrTokenMalformed},
		{"Bearer abc\xa0", "", ErrTokenMalformed},
		{"Bearer abc\x85", "", ErrTokenMalformed},
		{"Bearer a b", "", ErrTokenMalformed},
		{"Bearer a,b", "", ErrTokenMalformed},
		{"Bearer a=b", "", ErrTokenMalformed},
		{"Bearer =", "", ErrTokenMalformed},
		{"Bearer Null", "Null", nil},
		{"Bearer " + strings.Repeat("a", maxTokenBytes), strings.Repeat("a", maxTokenBytes), nil},
		{"Bearer " + strings.Repeat("a", maxTokenBytes+1), "", ErrTokenMalformed},
		{"Basic x", "", ErrTokenMalformed},
		{"Bearerabc", "", ErrTokenMalformed},
		{"eyJh.eyJz.c2ln", "", ErrTokenMalformed},
		{"Bearer abc, Bearer abc", "", ErrTokenMalformed},
		{"Bearer , Bearer ", "", ErrTokenMalformed},
	} {
		token, err := credentials(row.line)
		if token != row.token || !errors.Is(err, row.err) {
			t.Errorf("%.60q: got %.60q, %v; want %.60q, %v", row.line, token, err, row.token, row.err)
		}
		if has := HasCredentials(row.line); has != (row.err != ErrTokenMissing) { //nolint:errorlint // the sentinel itself
			t.Errorf("%.60q: has credentials: %v", row.line, has)
		}
	}
}

// TestBlanksAroundATokenMakeNoNewKeys is about 34,000 requests with one token and other blanks around it: each was an
// entry of the cache, 643 MB in 13 s.
func TestBlanksAroundATokenMakeNoNewKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.loginAs(t, "alice").Token
	before := 0
	for i := range 2000 {
		for _, blank := range []string{" ", "\t", "\u0085", "\u00a0"} {
			header := "Bearer " + strings.Repeat(blank, i) + token + strings.Repeat(blank, i%7)
			_, _ = f.Verify(t.Context(), header, func() (*Payload, error) { return f.parse(token) })
		}
		if size := f.keys.Load().cache.size(); i == 0 {
			before = size
		} else if size != before {
			t.Fatalf("after %d blanks the cache takes %d bytes, want %d", i, size, before)
		}
	}
	if want := len(token) + cachedOverhead; before < want {
		t.Errorf("one token takes %d bytes, want %d or more", before, want)
	}
}

func TestTheTokenCacheIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	c := newTokenCache()
	long := strings.Repeat("n", 3000)
	for i := range 20_000 {
		token := fmt.Sprintf("%s%d", long, i)
		c.put(token, &verified{subject: Subject{Nickname: long}})
		if i%1000 == 0 {
			c.put(token, &verified{subject: Subject{Nickname: long}}) // the same once more takes no more
		}
		if c.get(token) == nil {
			t.Fatalf("token %d is not there after it was put", i)
		}
	}
	if size := c.size(); size > maxCachedBytes || size < maxCachedBytes/2 {
		t.Errorf("120 MB of tokens take %d bytes, want up to %d", size, maxCachedBytes)
	}
	held := 0
	for i := range c.shards {
		for _, entry := range c.shards[i].entries {
			held += entry.size()
		}
	}
	if held != c.size() {
		t.Errorf("%d bytes are held, %d counted", held, c.size())
	}
}
