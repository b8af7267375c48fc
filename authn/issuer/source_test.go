package issuer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/issuer"
	"wxgate/authn/issuer/issuertest"
	"wxgate/authn/token"
)

// eventually waits for something that the background does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(what, "did not happen")
		}
	}
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestANewKeyIsFetchedOnceAMinute rotates the key of the issuer while people use the old one.
func TestANewKeyIsFetchedOnceAMinute(t *testing.T) {
	t.Parallel()
	first, second, third := issuertest.NewKey(t, "1", "ES256"), issuertest.NewKey(t, "2", "ES256"), issuertest.NewKey(t, "3", "ES256")
	server := issuertest.NewServer(t, false, first)
	c := &clock{now: time.Now()}
	s := issuer.NewSet([]issuer.Config{config(server.URL, "ES256")}, 0, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), c.Now)
	t.Cleanup(s.Close)
	of := func(k issuertest.Key) string {
		return k.Sign(t, issuertest.Claims(iss, aud, "7", map[string]any{"iat": nil, "exp": time.Now().Add(time.Hour).Unix()}))
	}
	wants := func(what, bearer string, want error) {
		t.Helper()
		if _, err := verify(s, bearer); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	wants("the first key", of(first), nil)
	old, err := verify(s, of(first))
	if err != nil {
		t.Fatal(err)
	}
	server.Publish(t, second, first)
	wants("a key that is new", of(second), nil)
	wants("the first key beside it", of(first), nil)
	if err := s.Alive(old); err != nil {
		t.Errorf("what the first key began: %v", err)
	}
	if n := server.Asked(); n != 2 {
		t.Errorf("it was asked %d times, want 2", n)
	}
	server.Publish(t, third)
	for i := range 100 {
		k := third
		k.ID = fmt.Sprint("unknown", i)
		wants("within a minute", of(k), token.ErrInvalid)
	}
	wants("a key that goes, until it is asked for", of(first), nil)
	if n := server.Asked(); n != 2 {
		t.Errorf("it was asked %d times within a minute, want 2", n)
	}
	c.Add(time.Minute)
	wants("a minute later", of(third), nil)
	wants("a cached token of a key that is gone", of(first), token.ErrInvalid)
	if err := s.Alive(old); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("what a key began that is gone: %v", err)
	}
}

// TestAKeyThatIsReplacedWithoutANewKidIsFetchedToo: a set need not name its keys, and a new key may get the old name.
func TestAKeyThatIsReplacedWithoutANewKidIsFetchedToo(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ kid, ofToken string }{
		"keys and tokens without kid": {"", ""},
		"keys without kid":            {"", "1"},
		"tokens without kid":          {"1", ""},
		"the same kid":                {"1", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second, stranger := issuertest.NewKey(t, row.kid, "ES256"), issuertest.NewKey(t, row.kid, "ES256"), issuertest.NewKey(t, row.kid, "ES256")
			server := issuertest.NewServer(t, false, first)
			c := &clock{now: time.Now()}
			s := issuer.NewSet([]issuer.Config{config(server.URL, "ES256")}, 0, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), c.Now)
			t.Cleanup(s.Close)
			of := func(k issuertest.Key) string {
				k.ID = row.ofToken
				return k.Sign(t, issuertest.Claims(iss, aud, "7", nil))
			}
			if _, err := verify(s, of(first)); err != nil {
				t.Fatal(err)
			}
			server.Publish(t, second)
			if _, err := verify(s, of(second)); err != nil {
				t.Errorf("the new key at its first use: %v", err)
			}
			if _, err := verify(s, of(first)); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("the key that is gone: %v", err)
			}
			for range 100 {
				if _, err := verify(s, of(stranger)); !errors.Is(err, token.ErrInvalid) {
					t.Errorf("the key of a stranger: %v", err)
				}
			}
			if n := server.Asked(); n != 2 {
				t.Errorf("it was asked %d times within a minute, want 2", n)
			}
		})
	}
}

// waiter is a context that says when somebody begins to wait for its end.
type waiter struct {
	context.Context

	waits func()
}

func (w waiter) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

// TestATokenIsNotJudgedByAnAnswerThatIsOlder has a key published while the keys before it are on their way.
func TestATokenIsNotJudgedByAnAnswerThatIsOlder(t *testing.T) {
	t.Parallel()
	first, second := issuertest.NewKey(t, "1", "ES256"), issuertest.NewKey(t, "2", "ES256")
	server, late := issuertest.NewServer(t, false, first), make(chan struct{})
	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		<-late
		server.Publish(t, second)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{first.JWK()}})
	})
	s := newSet(t, config(server.URL, "ES256"))
	ctx := waiter{t.Context(), sync.OnceFunc(func() { close(late) })}
	if _, err := s.Verify(ctx, "admin", "Bearer "+second.Sign(t, issuertest.Claims(iss, aud, "7", nil))); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
}

// TestTheKeyThatATokenNamesIsTriedFirst has more keys without a kid than are tried.
func TestTheKeyThatATokenNamesIsTriedFirst(t *testing.T) {
	t.Parallel()
	named := issuertest.NewKey(t, "named", "ES256")
	unnamed := make([]issuertest.Key, 5)
	for i := range unnamed {
		unnamed[i] = issuertest.NewKey(t, "", "ES256")
	}
	var log lockedBuffer
	s := issuer.NewSet([]issuer.Config{config(issuertest.NewServer(t, false, append(unnamed, named)...).URL, "ES256")}, 0,
		prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	t.Cleanup(s.Close)
	claims := issuertest.Claims(iss, aud, "7", nil)
	for name, k := range map[string]issuertest.Key{"named": named, "without a name, the fourth": unnamed[3]} {
		if _, err := verify(s, k.Sign(t, claims)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := verify(s, unnamed[4].Sign(t, claims)); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("the fifth without a name: %v", err)
	}
	for range 10 {
		_, _ = verify(s, unnamed[4].Sign(t, claims))
	}
	if text := log.String(); strings.Count(text, "signed a token") != 1 || !strings.Contains(text, "issuer=admin tried=4 fitting=6") {
		t.Errorf("the log is %s", text)
	}
}

// TestADeadSourceStopsNoKnownKey answers in every way that is no set of keys.
func TestADeadSourceStopsNoKnownKey(t *testing.T) {
	t.Parallel()
	k, other := issuertest.NewKey(t, "1", "ES256"), issuertest.NewKey(t, "2", "ES256")
	server := issuertest.NewServer(t, false, k)
	elsewhere := issuertest.NewServer(t, false, other)
	c := &clock{now: time.Now()}
	var log lockedBuffer
	s := issuer.NewSet([]issuer.Config{config(server.URL, "ES256")}, time.Minute, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)), c.Now)
	t.Cleanup(s.Close)
	good, bad := k.Sign(t, issuertest.Claims(iss, aud, "7", map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()})), other.Sign(t, issuertest.Claims(iss, aud, "7", nil))
	if _, err := verify(s, good); err != nil {
		t.Fatal(err)
	}
	for want, answer := range map[string]http.HandlerFunc{
		"is a 500":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"redirect (302)": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"redirect (307)": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"no JWK set":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no key that can":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"more than 256 KiB":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), 300<<10)) },
		"EOF":                func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no whole answer wi": func(w http.ResponseWriter, r *http.Request) { drip(w, r) },
	} {
		server.Answer(answer)
		c.Add(time.Minute)
		if _, err := verify(s, bad); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: a token of another key: %v", want, err)
		}
		if _, err := verify(s, good); err != nil {
			t.Errorf("%s: a token of a known key: %v", want, err)
		}
		eventually(t, want, func() bool { return strings.Contains(log.String(), want) })
	}
	if elsewhere.Asked() > 0 {
		t.Error("a redirect was followed")
	}
}

// drip sends a byte now and then, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		<-tick.C
	}
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestAnIssuerThatNeverAnsweredIsUnavailable: nobody can say whether such a token is good, and logging in again does not help.
func TestAnIssuerThatNeverAnsweredIsUnavailable(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	server := issuertest.NewServer(t, false, k)
	server.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	c := &clock{now: time.Now()}
	s := issuer.NewSet([]issuer.Config{config(server.URL, "EdDSA")}, time.Minute, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), c.Now)
	t.Cleanup(s.Close)
	bearer := k.Sign(t, issuertest.Claims(iss, aud, "7", nil))
	for range 3 {
		if _, err := verify(s, bearer); !errors.Is(err, issuer.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := verify(s, "x.y.z"); !errors.Is(err, token.ErrMalformed) {
		t.Errorf("what is no token: %v", err)
	}
	server.Publish(t, k)
	c.Add(time.Minute)
	if _, err := verify(s, bearer); err != nil {
		t.Errorf("once it answers: %v", err)
	}
}

// TestRequestsThatWaitForKeysAreBounded has an issuer that answers nothing, ever.
func TestRequestsThatWaitForKeysAreBounded(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	server := issuertest.NewServer(t, false, k)
	server.Answer(drip)
	s := newSet(t, config(server.URL, "EdDSA"))
	bearer := k.Sign(t, issuertest.Claims(iss, aud, "7", nil))
	began := time.Now()
	var all sync.WaitGroup
	var at sync.Mutex
	quick := 0
	for range 200 {
		all.Go(func() {
			_, err := verify(s, bearer)
			at.Lock()
			defer at.Unlock()
			if !errors.Is(err, issuer.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if time.Since(began) < 1500*time.Millisecond {
				quick++
			}
		})
	}
	all.Wait()
	if took := time.Since(began); quick < 130 || took > 10*time.Second {
		t.Errorf("%d of 200 did not wait, and all took %v", quick, took)
	}
}

// TestReloadsChangeIssuersAtOnce also ends what callers of an issuer began that is gone.
func TestReloadsChangeIssuersAtOnce(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	server := issuertest.NewServer(t, false, k)
	cfg := config(server.URL, "EdDSA")
	reg := prometheus.NewRegistry()
	s := issuer.NewSet([]issuer.Config{cfg}, 0, reg, slog.New(slog.DiscardHandler), time.Now)
	t.Cleanup(s.Close)
	bearer := k.Sign(t, issuertest.Claims(iss, aud, "7", nil))
	before, err := verify(s, bearer)
	if err != nil {
		t.Fatal(err)
	}
	s.Configure([]issuer.Config{cfg})()
	if err := s.Alive(before); err != nil || server.Asked() != 1 {
		t.Errorf("after a reload without a change: %v, asked %d times", err, server.Asked())
	}
	changed := cfg
	changed.Audience = issuer.Audience{"other"}
	s.Configure([]issuer.Config{changed})()
	if _, err := verify(s, bearer); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a cached token for what is no audience any more: %v", err)
	}
	if err := s.Alive(before); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("what it began: %v", err)
	}
	retire := s.Configure(nil)
	if _, err := verify(s, k.Sign(t, issuertest.Claims(iss, "other", "7", nil))); err != nil {
		t.Errorf("while routes may name it: %v", err)
	}
	retire()
	if _, err := verify(s, bearer); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a token of an issuer that is gone: %v", err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != "wxgate_issuer_verifications_total" {
				t.Errorf("%s of an issuer that is gone: %v", f.GetName(), m)
			}
		}
	}
}

// TestAChangeKeepsTheKeysOfADeadSource unless the change is about the keys.
func TestAChangeKeepsTheKeysOfADeadSource(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	server, elsewhere := issuertest.NewServer(t, false, k), issuertest.NewServer(t, false, k)
	cfg := config(server.URL, "EdDSA")
	s := newSet(t, cfg)
	bearer := k.Sign(t, issuertest.Claims(iss, aud, "7", map[string]any{"name": "a", "uid": "8"}))
	if _, err := verify(s, bearer); err != nil {
		t.Fatal(err)
	}
	dead := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	server.Answer(dead)
	elsewhere.Answer(dead)
	for _, row := range []struct {
		what   string
		change func(*issuer.Config)
		want   error
	}{
		{"headers", func(c *issuer.Config) { c.Headers = map[string]string{"X-Admin-Id": "uid"} }, nil},
		{"aud", func(c *issuer.Config) { c.Audience = issuer.Audience{"other"} }, token.ErrInvalid},
		{"aud again", func(c *issuer.Config) { c.Audience = issuer.Audience{"other", aud} }, nil},
		{"algorithms", func(c *issuer.Config) { c.Algorithms = []string{"RS256"} }, token.ErrInvalid},
		{"algorithms again", func(c *issuer.Config) { c.Algorithms = []string{"EdDSA"} }, issuer.ErrUnavailable},
	} {
		row.change(&cfg)
		s.Configure([]issuer.Config{cfg})()
		c, err := verify(s, bearer)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %+v, %v, want %v", row.what, c, err, row.want)
		}
		if err == nil && c.Claim("uid") != "8" {
			t.Errorf("%s: the claims are %v", row.what, c.Claims)
		}
	}
	server.Publish(t, k)
	cfg.Subject = "uid"
	s.Configure([]issuer.Config{cfg})()
	if c, err := verify(s, bearer); err != nil || c.Subject != "8" {
		t.Errorf("once it answers: %+v, %v", c, err)
	}
	cfg.JWKS = elsewhere.URL
	s.Configure([]issuer.Config{cfg})()
	if _, err := verify(s, bearer); !errors.Is(err, issuer.ErrUnavailable) {
		t.Errorf("at another address: %v", err)
	}
}

// TestAFloodOfTokensFillsTheCacheToItsBound has one issuer sign more tokens than there is room for.
func TestAFloodOfTokensFillsTheCacheToItsBound(t *testing.T) {
	t.Parallel()
	cfg := config("")
	cfg.Secret, cfg.Audience = "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA", nil
	s := newSet(t, cfg)
	k := issuertest.Key{Algorithm: "HS256", Signing: []byte(cfg.Secret.Reveal())}
	for i := range 3000 {
		bearer := k.Sign(t, issuertest.Claims(iss, "", fmt.Sprint(i), map[string]any{"aud": nil, "pad": strings.Repeat("x", 2000)}))
		if c, err := verify(s, bearer); err != nil || c.Subject != fmt.Sprint(i) {
			t.Fatalf("%d: %+v, %v", i, c, err)
		}
	}
}

func TestFaultsOfAnIssuerAreNamed(t *testing.T) {
	t.Parallel()
	const good = "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA"
	for want, change := range map[string]func(*issuer.Config){
		"name: ":                      func(c *issuer.Config) { c.Name = "a b" },
		"conflicts with jwks":         func(c *issuer.Config) { c.Secret = good },
		"is not https":                func(c *issuer.Config) { c.JWKS = "http://auth.example.com/jwks" },
		"is not an address":           func(c *issuer.Config) { c.JWKS = "auth.example.com/jwks" },
		"has a user":                  func(c *issuer.Config) { c.JWKS = "https://a:b@auth.example.com/jwks" },
		"jwks: is empty":              func(c *issuer.Config) { c.JWKS = "" },
		"iss: is empty":               func(c *issuer.Config) { c.Issuer = "" },
		"aud: is empty":               func(c *issuer.Config) { c.Audience = nil },
		"aud[0]: ":                    func(c *issuer.Config) { c.Audience = issuer.Audience{""} },
		"algorithms[0]: \"HS256\"":    func(c *issuer.Config) { c.Algorithms = []string{"HS256"} },
		"algorithms[1]: \"none\"":     func(c *issuer.Config) { c.Algorithms = []string{"RS256", "none"} },
		"a secret is for one of them": func(c *issuer.Config) { c.JWKS, c.Secret, c.Algorithms = "", good, []string{"HS256", "HS512"} },
		"HS256, HS384, HS512; a secr": func(c *issuer.Config) { c.JWKS, c.Secret, c.Algorithms = "", good, []string{"RS256"} },
		"HS512 needs 64 or more":      func(c *issuer.Config) { c.JWKS, c.Secret, c.Algorithms = "", good, []string{"HS512"} },
		"that anybody can guess": func(c *issuer.Config) {
			c.JWKS, c.Secret, c.Algorithms = "", "changeme-0123456789-abcdefghijklmnop", nil
		},
		"subject: ":                    func(c *issuer.Config) { c.Subject = "" },
		"headers: has 0 entries":       func(c *issuer.Config) { c.Headers = nil },
		"headers.X-Admin-Id: names a ": func(c *issuer.Config) { c.Headers = map[string]string{"X-Admin-Id": ""} },
	} {
		cfg := config("https://auth.example.com/jwks.json", "RS256")
		change(&cfg)
		if got := cfg.Validate(); len(got) != 1 || !strings.Contains(got[0].Error(), want) || strings.Contains(got[0].Error(), good) {
			t.Errorf("%s: got %v", want, got)
		}
	}
	for _, address := range []string{"https://auth.example.com/jwks.json", "http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]:1/"} {
		if faults := config(address, "RS256", "ES512", "EdDSA").Validate(); len(faults) > 0 {
			t.Errorf("%s: %v", address, faults)
		}
	}
}
