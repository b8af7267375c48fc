package authn

import (
	"fmt"
	"strings"
	"testing"

	"wxgate/authn/token"
)

// TestBlanksAroundATokenMakeNoNewKeys is about 34,000 requests with one token and other blanks around it: each was an
// entry of the cache, 643 MB in 13 s.
func TestBlanksAroundATokenMakeNoNewKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	before := 0
	for i := range 2000 {
		for _, blank := range []string{" ", "\t", "\u0085", "\u00a0"} {
			header := "Bearer " + strings.Repeat(blank, i) + bearer + strings.Repeat(blank, i%7)
			_, _ = f.Tokens.Verify(t.Context(), header, func() (*token.Payload, error) { return f.parse(bearer) })
		}
		if size := f.Tokens.keys.Load().cache.size(); i == 0 {
			before = size
		} else if size != before {
			t.Fatalf("after %d blanks the cache takes %d bytes, want %d", i, size, before)
		}
	}
	if want := len(bearer) + cachedOverhead; before < want {
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
