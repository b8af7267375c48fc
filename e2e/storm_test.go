package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"wxgate/authn/wechat/sandbox"
)

// stormLogins is how many logins meet a failing WeChat; `make long WHAT=storm` asks for 10,000.
func stormLogins() int {
	if n, err := strconv.Atoi(os.Getenv("WXGATE_STORM_LOGINS")); err == nil {
		return n
	}
	return 400
}

// TestEveryLoginGetsARightAnswerFromAWeChatThatFails lets a fifth of the exchanges fail in every way there is.
func TestEveryLoginGetsARightAnswerFromAWeChatThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	failure := sandbox.Failure{API: "jscode2session", Rate: 0.2, Kinds: []string{"reset", "html", "half", "502", "-1", "45011"}, Seed: 7}
	if err := w.weChat.Fail(failure); err != nil {
		t.Fatal(err)
	}
	right := map[int]string{
		http.StatusUnauthorized: "wx_code_used", http.StatusTooManyRequests: "wx_rate_limited", http.StatusBadGateway: "wx_bad_response",
		http.StatusServiceUnavailable: "wx_busy", http.StatusGatewayTimeout: "wx_timeout",
	}
	ids, owners := sync.Map{}, sync.Map{}
	var worked, next atomic.Int64
	var clients sync.WaitGroup
	codes := sync.Map{}
	for range 32 {
		clients.Go(func() {
			for i := next.Add(1); i <= int64(stormLogins()); i = next.Add(1) {
				person := fmt.Sprintf("person%d", i%200)
				code := w.weChat.IssueCode(person)
				codes.Store(code, true)
				for range 2 { // a phone sends the same code again when its answer is lost
					got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code))
					if err != nil {
						t.Errorf("login %d: %v", i, err)
						return
					}
					if got.status != http.StatusOK {
						if reason, _ := got.json["reason"].(string); right[got.status] != reason {
							t.Errorf("login %d: %d %s is not a right answer", i, got.status, got.body)
						}
						continue
					}
					worked.Add(1)
					user, _ := got.data()["user"].(map[string]any)
					id := fmt.Sprint(user["id"])
					if before, known := ids.LoadOrStore(person, id); known && before != id {
						t.Errorf("%s is user %s and user %s", person, before, id)
					}
					if owner, taken := owners.LoadOrStore(id, person); taken && owner != person {
						t.Errorf("user %s is %s and %s", id, owner, person)
					}
				}
			}
		})
	}
	clients.Wait()
	resent := 0
	codes.Range(func(code, _ any) bool {
		if n := w.weChat.Seen(code.(string)); n > 6 { // sent twice by the phone; -1, which spends nothing, is asked three times each
			resent++
		}
		return true
	})
	if again := len(w.weChat.Stats().Resent); again > 0 || resent > 0 {
		t.Errorf("%d codes were sent again after an ambiguous answer, %d more than six times", again, resent)
	}
	if worked.Load() == 0 {
		t.Error("no login worked")
	}
	t.Logf("%d logins sent twice each: %d answers were a token", stormLogins(), worked.Load())
}
