package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestNobodyGetsMoreThanTheQuotaWhateverIsKilled has 8 clients of one user, at a gateway on a folder and at two on a
// database, of which one is killed again and again. Requests that were in flight then may be lost to the user, and no more.
func TestNobodyGetsMoreThanTheQuotaWhateverIsKilled(t *testing.T) {
	t.Parallel()
	const quota, clients, kills = 600, 8, 4
	for _, place := range []string{"a folder", "a database"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var served atomic.Int64
			w.service = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				served.Add(1)
				<-time.After(time.Duration(rand.IntN(10)) * time.Millisecond) // so that kills come before, within and after it
			}))
			t.Cleanup(w.service.Close)
			w.writeConfig(fmt.Sprintf("  - { path: /ai/**, upstream: recipes, rate_limit: { per: user, quota: %d/day, quota_name: ai } }", quota))
			gateways := []*world{w}
			if place == "a database" {
				_, dsn := newDatabase(t)
				w.onDatabase(dsn)
				w.serve()
				gateways = append(gateways, w.beside())
			} else {
				w.serve()
			}
			token, lost := w.login("alice"), int64(0)
			for range kills {
				before := served.Load()
				lost += askUntilKilled(gateways, clients, token)
				t.Logf("%s: killed after %d more", place, served.Load()-before)
				w.serve()
			}
			refused := false
			for range quota + 1 {
				got := w.call("POST", "/ai/ask", token, "{}")
				if refused = got.status == http.StatusTooManyRequests; refused {
					w.want("at last", got, http.StatusTooManyRequests, "quota_exceeded")
					break
				}
				if got.status != http.StatusOK {
					lost++
				}
			}
			days := int64(1)
			if now := time.Now().UTC(); now.Hour() == 16 && now.Minute() < 2 { // midnight there: another day may have begun
				days = 2
			}
			if got := served.Load(); !refused || got > quota*days || got < quota-lost {
				t.Errorf("%d were served of %d, and %d are without an answer; refused: %v", got, quota, lost, refused)
			}
			t.Logf("%s: %d served, %d without an answer, after %d kills", place, served.Load(), lost, kills)
		})
	}
}

// askUntilKilled has clients ask while the first gateway is killed, and returns how many requests got no 200.
func askUntilKilled(gateways []*world, clients int, token string) (lost int64) {
	var all sync.WaitGroup
	var failed atomic.Int64
	for c := range clients {
		w := gateways[c%len(gateways)]
		all.Go(func() {
			for !gateways[0].gone() {
				got, err := w.try("POST", "/ai/ask", token, "{}")
				switch {
				case errors.Is(err, syscall.ECONNREFUSED): // it was not in flight
				case err != nil, got.status != http.StatusOK && got.status != http.StatusTooManyRequests:
					failed.Add(1)
				}
			}
		})
	}
	<-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond)
	gateways[0].kill()
	all.Wait()
	return failed.Load()
}

// TestAnOperatorSeesAndGrantsQuotas at the command line.
func TestAnOperatorSeesAndGrantsQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.writeConfig("  - { path: /ai/**, upstream: recipes, rate_limit: { per: user, quota: 2/day, quota_name: ai } }")
	w.serve()
	token := w.login("alice")
	w.call("GET", "/ai/ask", token, "")
	w.does([]string{"users", "quotas", "1"}, "QUOTA", "ai", "2  ", "1  ")
	said := w.does([]string{"users", "quotas", "1", "--name", "ai", "--grant", "5"})
	if fields := strings.Fields(strings.Split(said, "\n")[1]); len(fields) < 5 || strings.Join(fields[:5], " ") != "ai 2 5 1 6" {
		t.Errorf("got\n%s\nwant ai 2 5 1 6", said)
	}
	if _, stderr, code := w.wxgate("", "users", "quotas", "1", "--name", "ai"); code != 2 || !strings.Contains(stderr, "--name and --grant go together") {
		t.Errorf("a grant of nothing: exit %d\n%s", code, stderr)
	}
	w.fails([]string{"users", "quotas", "9"}, "not_found")
	w.does([]string{"routes"}, "2/day per user (quota ai)")
}
