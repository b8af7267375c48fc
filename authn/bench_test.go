package authn

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/storage"
)

// benched is an Authn with one token and, per parallel worker, a request that carries it.
func benched(b *testing.B) (*fixture, string) {
	b.Helper()
	f := newFixtureWith(b, nil)
	f.now = time.Now
	return f, f.loginAs(b, "alice").Token
}

// requestWith is a Fiber context of a request with a bearer token; the handler behind Bearer does nothing.
func requestWith(b *testing.B, token string) (*fiber.App, *fasthttp.RequestCtx) {
	b.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.Header.SetMethod(http.MethodGet)
	ctx.Request.SetRequestURI("/")
	ctx.Request.Header.SetHost("api.example.com")
	ctx.Request.Header.Set(fiber.HeaderAuthorization, "Bearer "+token)
	return fiber.New(fiber.Config{DisableStartupMessage: true}), ctx
}

// BenchmarkVerify measures the bearer step of a request: a token that was seen before, and one that was not.
func BenchmarkVerify(b *testing.B) {
	b.Run("cached", func(b *testing.B) {
		f, token := benched(b)
		app, ctx := requestWith(b, token)
		c := app.AcquireCtx(ctx)
		defer app.ReleaseCtx(c)
		v, err := f.verify(b.Context(), token)
		if err != nil {
			b.Fatal(err)
		}
		f.keys.Load().cache.put(token, v)
		b.ReportAllocs()
		for b.Loop() {
			token, err := credentials(c)
			seen := f.keys.Load().cache.get(token)
			if err != nil || seen == nil || f.judge(seen, 0) != nil {
				b.Fatal("refused")
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
