package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
)

const (
	payMchID  = "1900000001"
	payAPIKey = "e2e-APIv3-key-e2e-APIv3-key-1234"
	payBuyer  = "oSecretOfTheOrder"
)

// payService is a back end that is told of paid orders.
type payService struct {
	*httptest.Server

	mu     sync.Mutex
	told   []paidOrder
	during func(order string) // while it works; nil: nothing
}

// paidOrder is one request that the service got.
type paidOrder struct {
	number, key, repeat string
}

func newPayService(t *testing.T) *payService {
	t.Helper()
	s := new(payService)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Resource struct {
				Number string `json:"out_trade_no"`
			} `json:"resource"`
		}
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &body); err != nil || r.URL.Path != "/pay/notify" {
			t.Errorf("%v: the service got %s %s", err, r.URL, text)
		}
		s.mu.Lock()
		s.told = append(s.told, paidOrder{body.Resource.Number, r.Header.Get("Idempotency-Key"), r.Header.Get("X-Wxgate-Repeat")})
		during := s.during
		s.mu.Unlock()
		if during != nil {
			during(body.Resource.Number)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s
}

// of are the requests about an order.
func (s *payService) of(number string) (found []paidOrder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.told {
		if each.number == number {
			found = append(found, each)
		}
	}
	return found
}

// payWorld is a world whose gateway takes notifications of WeChat Pay.
type payWorld struct {
	*world
	merchant *sandbox.Merchant
	service  *payService
}

func newPayWorld(t *testing.T) *payWorld {
	t.Helper()
	merchant, err := sandbox.NewMerchant(payMchID, payAPIKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &payWorld{newWorld(t), merchant, newPayService(t)}
	key, certificate := filepath.Join(w.dir, "pub_key.pem"), filepath.Join(w.dir, "certificate.pem")
	writeFile(t, key, string(merchant.PublicKey()))
	writeFile(t, certificate, string(merchant.Certificate()))
	w.writeConfig(fmt.Sprintf("  - { path: /pay/notify, methods: [POST], upstream: pay, wechat_pay: { mchid: %q, apiv3_key: %q, public_keys: [{ id: %s, file: %q }], certificates: [%q] } }\n",
		payMchID, payAPIKey, merchant.PublicKeyID(), key, certificate))
	w.rewrite("limits:", fmt.Sprintf("  pay: %s\nlimits:", w.service.URL))
	return w
}

// notify tells of an order that was paid, and returns the status.
func (w *payWorld) notify(order, mistake string) (int, string) {
	w.t.Helper()
	n := sandbox.Notification{Resource: w.merchant.Transaction(appID, payBuyer, order, 1), Mistake: mistake}
	status, answer, err := w.merchant.Notify(context.Background(), w.url+"/pay/notify", n)
	if err != nil {
		w.t.Log(err) // the gateway may just have been killed
	}
	return status, answer
}

func TestAnOrderIsToldOnceAndARepetitionAfterAKillIsMarked(t *testing.T) {
	t.Parallel()
	w := newPayWorld(t)
	w.serve()
	for i, mistake := range []string{"", "", sandbox.MistakeTwice} {
		if status, answer := w.notify("A", mistake); status != http.StatusNoContent {
			t.Fatalf("time %d: %d %s, want 204", i+1, status, answer)
		}
	}
	if status, answer := w.notify("A2", sandbox.MistakeProbe); status != http.StatusForbidden || !strings.Contains(answer, `"code":"FAIL"`) {
		t.Errorf("a wrong signature: %d %s", status, answer)
	}

	working, release := make(chan struct{}), make(chan struct{})
	w.service.mu.Lock()
	w.service.during = func(order string) {
		if order == "B" {
			close(working)
			<-release
		}
	}
	w.service.mu.Unlock()
	var interrupted sync.WaitGroup
	interrupted.Go(func() { w.notify("B", "") })
	<-working
	w.kill()
	interrupted.Wait()
	w.service.mu.Lock()
	w.service.during = nil
	w.service.mu.Unlock()
	close(release)

	w.serve()
	if status, answer := w.notify("A", ""); status != http.StatusNoContent {
		t.Errorf("after the restart: %d %s, want 204", status, answer)
	}
	eventually(t, 30*time.Second, func() bool { // WeChat Pay retries too
		status, _ := w.notify("B", "")
		return status == http.StatusNoContent
	})
	a, b := w.service.of("A"), w.service.of("B")
	if len(a) != 1 || a[0].repeat != "" || len(w.service.of("A2")) != 0 {
		t.Errorf("the service was told of A %d times: %v, want once", len(a), a)
	}
	if len(b) != 2 || b[0].repeat != "" || b[1].repeat != "possible" || b[0].key != b[1].key || b[0].key == a[0].key {
		t.Errorf("the service was told of B %d times: %v, want twice, of which the second is marked", len(b), b)
	}
	if strings.Contains(w.output.String(), "out_trade_no") {
		t.Error("the log holds what the service was told")
	}
}

// TestKillsBetweenWeChatPayAndTheServiceLoseNoOrder kills the gateway again and again while orders are paid, each told twice at a
// time, by clients that ask until they hear 204.
func TestKillsBetweenWeChatPayAndTheServiceLoseNoOrder(t *testing.T) {
	t.Parallel()
	const kills, perRound, clients = 4, 40, 8
	w := newPayWorld(t)
	w.service.during = func(string) { <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond) }
	left, acknowledged := make(chan string, kills*perRound), map[string]bool{}
	var mu sync.Mutex
	for round := range kills + 1 {
		if round < kills {
			for i := range perRound {
				left <- fmt.Sprintf("%d-%d", round, i)
			}
		}
		w.serve()
		var told sync.WaitGroup
		for range clients {
			told.Go(func() {
				for {
					select {
					case order := <-left:
						if status, _ := w.notify(order, sandbox.MistakeTwice); status == http.StatusNoContent {
							mu.Lock()
							acknowledged[order] = true
							mu.Unlock()
						} else if left <- order; w.gone() {
							return
						}
					default:
						return
					}
				}
			})
		}
		if round < kills {
			<-time.After(time.Duration(50+rand.IntN(200)) * time.Millisecond)
			w.kill()
		}
		told.Wait()
	}
	repeated := 0
	for order := range acknowledged {
		calls := w.service.of(order)
		if len(calls) == 0 {
			t.Errorf("%s was acknowledged, and the service knows nothing of it", order)
		}
		for i, call := range calls {
			if marked := call.repeat == "possible"; i > 0 && !marked || call.key != calls[0].key {
				t.Errorf("%s: call %d of %v is not marked, or has another key", order, i+1, calls)
			}
		}
		repeated += max(0, len(calls)-1)
	}
	if len(acknowledged) != kills*perRound {
		t.Errorf("%d orders are acknowledged, want %d", len(acknowledged), kills*perRound)
	}
	t.Logf("%d kills, %d orders, %d calls, of these %d repeated and marked", kills, len(acknowledged), len(w.service.told), repeated)
}

func TestCheckAndRoutesKnowNotifications(t *testing.T) {
	t.Parallel()
	w := newPayWorld(t)
	run := func(args ...string) string {
		cmd := exec.Command(binary, append(args, "-c", w.config)...)
		cmd.Env = append(cmd.Environ(), "WX_APPID="+appID, "WX_SECRET="+appSecret, "JWT_SECRET="+jwtSecret)
		output, _ := cmd.CombinedOutput()
		return string(output)
	}
	if got := run("check"); !strings.Contains(got, "is valid") || strings.Contains(got, payAPIKey) {
		t.Errorf("check: %s", got)
	}
	if got := run("routes"); !strings.Contains(got, "/pay/notify") || !strings.Contains(got, "wechat_pay") {
		t.Errorf("routes: %s", got)
	}
	if got := run("explain", "POST", "/pay/notify"); !strings.Contains(got, "WeChat") {
		t.Errorf("explain: %s", got)
	}
	writeFile(t, filepath.Join(w.dir, "pub_key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	if got := run("check"); !strings.Contains(got, "wechat_pay.public_keys[0].file") || !strings.Contains(got, "is a private key") {
		t.Errorf("check with a private key: %s", got)
	}
}
