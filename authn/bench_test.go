package authn

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
)

// benched is an Authn with one token and, per parallel worker, a request that carries it.
func benched(b *testing.B) (*fixture, string) {
	b.Helper()
	f := newFixtureWith(b, nil)
	f.realTime()
	return f, f.loginAs(b, "alice").Token
}

// realTime has everything go by the real clock, which takes no lock.
func (f *fixture) realTime() {
	f.Authn.now, f.Tokens.now, f.Sessions.now, f.Users.now = time.Now, time.Now, time.Now, time.Now
}

// BenchmarkVerify measures the bearer step of a request: a token that was seen before, and one that was not.
func BenchmarkVerify(b *testing.B) {
	b.Run("cached", func(b *testing.B) {
		f, token := benched(b)
		v, err := f.Tokens.verify(b.Context(), token)
		if err != nil {
			b.Fatal(err)
		}
		f.Tokens.keys.Load().cache.put(token, v)
		header := "Bearer " + token
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Tokens.Verify(b.Context(), header, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		f, token := benched(b)
		b.ReportAllocs()
		for b.Loop() {
			v, err := f.Tokens.verify(b.Context(), token)
			if err != nil || f.Tokens.check(v, 0) != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestAKnownTokenCostsNoMemory is about the bearer step of almost every request.
func TestAKnownTokenCostsNoMemory(t *testing.T) {
	f := newFixture(t)
	header := "Bearer " + f.loginAs(t, "alice").Token
	parse := func() (*token.Payload, error) { return nil, token.ErrInvalid } // of no token of ours
	if n := testing.AllocsPerRun(100, func() {
		if _, err := f.Tokens.Verify(t.Context(), header, parse); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRefuse measures the same for tokens that are refused: one that somebody made up, and one that has expired.
func BenchmarkRefuse(b *testing.B) {
	f, good := benched(b)
	refuse := func(name, bearer string, want error) {
		b.Run(name, func(b *testing.B) {
			header := "Bearer " + bearer
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Tokens.Verify(b.Context(), header, nil); !errors.Is(err, want) {
					b.Fatal(err)
				}
			}
		})
	}
	refuse("bad MAC", good[:len(good)-10]+"AAAAAAAAAA", token.ErrInvalid)
	refuse("unknown header", "eyJhbGciOiJub25lIn0"+good[strings.IndexByte(good, '.'):], token.ErrInvalid)
	f.Tokens.now = func() time.Time { return time.Now().Add(1000 * time.Hour) }
	refuse("expired", good, token.ErrExpired)
}

// BenchmarkLogin measures a whole login with the sandbox over HTTP, from the call to the token, fsync included.
func BenchmarkLogin(b *testing.B) {
	f := newFixtureWith(b, nil)
	f.realTime()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := f.Login(b.Context(), Login{Code: f.weChat.IssueCode("person" + strconv.Itoa(i%100))}); err != nil {
			b.Fatal(err)
		}
	}
}
