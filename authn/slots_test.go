package authn

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/breaker"
)

// waitingIn is how many exchanges wait for their turn, as the metric says.
func waitingIn(t *testing.T, registry *prometheus.Registry) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "wxgate_wechat_waiting" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no wxgate_wechat_waiting")
	return 0
}

// until polls for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker, deadline := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("not within 10 s: " + what)
		}
	}
}

func TestLoginsBeyondTheConcurrencyWaitAndAreTurnedAwayInTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hold := make(chan struct{})
	client := &scriptedWeChat{answer: func(code string, _ int) (wechat.Session, error) {
		if code != "third" {
			<-hold
		}
		return someSession("", 0)
	}}
	registry := prometheus.NewRegistry()
	f.apps = newApps(Deps{Apps: map[string]WeChat{testAppID: client}, Budget: 2 * time.Second, Concurrency: 2, Now: f.clock.Now}, newMetrics(registry))
	done := make(chan error, 2)
	for _, code := range []string{"first", "second"} {
		go func() { _, err := f.Login(t.Context(), Login{Code: code}); done <- err }()
	}
	until(t, "two are with WeChat", func() bool { return client.count("first")+client.count("second") == 2 })
	waited := make(chan error, 1)
	go func() { _, err := f.Login(t.Context(), Login{Code: "third"}); waited <- err }()
	until(t, "the third waits", func() bool { return waitingIn(t, registry) == 1 })
	if err := <-waited; !errors.Is(err, ErrBusy) || client.count("third") != 0 {
		t.Errorf("the third of two: %v, sent %d times; want %v, and the code still good", err, client.count("third"), ErrBusy)
	}
	if n := waitingIn(t, registry); n != 0 {
		t.Errorf("%v wait afterwards, want none", n)
	}
	close(hold)
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("one of the two: %v", err)
		}
	}
	if _, err := f.Login(t.Context(), Login{Code: "third"}); err != nil {
		t.Errorf("the third, once there is room: %v", err)
	}
}

func TestAWeChatThatIsBusyEachTimeIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	calls := make(chan string, 1000)
	client := &scriptedWeChat{answer: func(code string, _ int) (wechat.Session, error) {
		calls <- code
		return wechat.Session{}, &wechat.Error{API: wechat.APICode2Session, Code: wechat.ErrCodeBusy}
	}}
	f.apps = newApps(Deps{Apps: map[string]WeChat{testAppID: client}, Budget: 50 * time.Millisecond, Now: f.clock.Now}, f.metrics)
	for i := range 60 {
		if _, err := f.Login(t.Context(), Login{Code: fmt.Sprint("busy", i)}); !errors.Is(err, ErrBusy) {
			t.Fatalf("login %d: %v, want %v", i+1, err, ErrBusy)
		}
	}
	if n := len(calls); n < weChatBreaker().MinRequests || n > 3*weChatBreaker().MinRequests { // a login asks up to three times, as its budget allows
		t.Errorf("60 logins asked a busy WeChat %d times, want %d logins at most: then its breaker is open", n, weChatBreaker().MinRequests)
	}
}

func TestALoginWithoutASlotSaysNothingOfWeChat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want breaker.Result
	}{
		{nil, breaker.Success},
		{&wechat.Error{API: wechat.APICode2Session, Code: wechat.ErrCodeInvalidCode}, breaker.Success},
		{&wechat.Error{API: wechat.APICode2Session, Code: wechat.ErrCodeBusy}, breaker.Failure},
		{wechat.ErrTimeout, breaker.Failure},
		{&WeChatError{Kind: ErrBusy, Err: errors.New("no slot")}, breaker.Neutral},
	} {
		if got := weChatResult(c.err); got != c.want {
			t.Errorf("%v is %d for the breaker, want %d", c.err, got, c.want)
		}
	}
}

func TestATouristLogsInWhereWeChatIsASandbox(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.Login(t.Context(), Login{Code: wechat.TouristCode}); !errors.Is(err, ErrInvalidRequest) || err.Error() == "code 不是 wx.login 返回的 code" {
		t.Errorf("elsewhere: %v, want a word on touristappid", err)
	}
	f.tourist = "demo-tourist"
	first, err := f.Login(t.Context(), Login{Code: wechat.TouristCode})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sessions.Logout(t.Context(), f.subjectOf(t, first.Token)); err != nil {
		t.Fatal(err)
	}
	again, err := f.Login(t.Context(), Login{Code: wechat.TouristCode})
	if err != nil || again.User.ID != first.User.ID || again.Token == first.Token {
		t.Errorf("the same words after a logout: %v, user %d; want a new token of user %d", err, again.User.ID, first.User.ID)
	}
	f.wantVerdict(t, "the tourist's second token", again.Token, nil)
}
