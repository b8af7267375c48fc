package authn

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"wxgate/storage"
)

// benched is an Authn with one token and, per parallel worker, a request that carries it.
func benched(b *testing.B) (*fixture, string) {
	b.Helper()
	f := newFixtureWith(b, nil)
	f.now = time.Now
	return f, f.loginAs(b, "alice").Token
}

// BenchmarkVerify measures the bearer step of a request: a token that was seen before, and one that was not.
func BenchmarkVerify(b *testing.B) {
	b.Run("cached", func(b *testing.B) {
		f, token := benched(b)
		v, err := f.verify(b.Context(), token)
		if err != nil {
			b.Fatal(err)
		}
		f.keys.Load().cache.put(token, v)
		header := "Bearer " + token
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Verify(b.Context(), header, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		f, token := benched(b)
		b.ReportAllocs()
		for b.Loop() {
			v, err := f.verify(b.Context(), token)
			if err != nil || f.judge(v, 0) != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRevoked measures a request's look at a set of a million live revocations.
func BenchmarkRevoked(b *testing.B) {
	for _, live := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			r := newRevocations(func() time.Time { return time.Time{} })
			now := time.Now()
			for range live {
				r.add(storage.Revocation{Scope: storage.ScopeSession, ID: newID(), From: now, Until: now.Add(time.Hour)})
			}
			v, err := newVerified(&Claims{UserID: 7, SessionID: newID(), TokenID: newID()})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if r.refuses(v, now) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkLogin measures a whole login with the sandbox over HTTP, from the call to the token, fsync included.
func BenchmarkLogin(b *testing.B) {
	f := newFixtureWith(b, nil)
	f.now = time.Now
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := f.Login(b.Context(), Login{Code: f.weChat.IssueCode("person" + strconv.Itoa(i%100))}); err != nil {
			b.Fatal(err)
		}
	}
}
