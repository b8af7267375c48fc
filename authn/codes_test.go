package authn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat"
)

// scriptedWeChat answers codes as a test says.
type scriptedWeChat struct {
	answer func(code string, n int) (wechat.Session, error)
	mu     sync.Mutex
	sent   map[string]int
}

func (s *scriptedWeChat) Code2Session(_ context.Context, code string) (wechat.Session, error) {
	s.mu.Lock()
	if s.sent == nil {
		s.sent = map[string]int{}
	}
	s.sent[code]++
	n := s.sent[code]
	s.mu.Unlock()
	return s.answer(code, n)
}

func (s *scriptedWeChat) PhoneNumber(context.Context, string, string) (wechat.Phone, error) {
	return wechat.Phone{}, wechat.ErrTimeout
}

func (s *scriptedWeChat) CheckSession(context.Context, string, string) (bool, error) {
	return true, nil
}

func (s *scriptedWeChat) ResetSessionKey(context.Context, string, string) (wechat.Session, error) {
	return wechat.Session{}, wechat.ErrTimeout
}

func (s *scriptedWeChat) CheckProfile(context.Context, string, wechat.ProfileText) (wechat.ContentCheck, error) {
	return wechat.ContentCheck{}, wechat.ErrTimeout
}

func (s *scriptedWeChat) CheckImage(context.Context, string, string) (string, error) {
	return "", wechat.ErrTimeout
}

func (s *scriptedWeChat) count(code string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[code]
}

// with replaces the client of WeChat of a fixture.
func (f *fixture) with(client WeChat) {
	f.apps = newApps(Deps{Apps: map[string]WeChat{testAppID: client}, Budget: 3 * time.Second, Now: f.clock.Now}, f.metrics)
}

func someSession(string, int) (wechat.Session, error) {
	return wechat.Session{OpenID: "oScripted", SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="}, nil
}

func TestADoubleTapIsOneLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := make(chan struct{})
	client := &scriptedWeChat{answer: func(string, int) (wechat.Session, error) {
		<-release
		return someSession("", 0)
	}}
	f.with(client)
	tokens := make([]string, 8)
	var started, all sync.WaitGroup
	for i := range tokens {
		started.Add(1)
		all.Go(func() {
			started.Done()
			grant, err := f.Login(t.Context(), Login{Code: "tapped"})
			if err != nil {
				t.Error(err)
			}
			tokens[i] = grant.Token
		})
	}
	started.Wait()
	close(release)
	all.Wait()
	for i, token := range tokens {
		if token != tokens[0] {
			t.Errorf("tap %d got another token", i)
		}
	}
	if n := client.count("tapped"); n != 1 {
		t.Errorf("the code was sent %d times, want once", n)
	}
}

func TestALostAnswerIsGivenAgainForTenSeconds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	code := f.weChat.IssueCode("alice")
	first, err := f.Login(t.Context(), Login{Code: code})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.move(replayFor - time.Second)
	if again, err := f.Login(t.Context(), Login{Code: code}); err != nil || again.Token != first.Token {
		t.Errorf("the same code after 9 s: %v, want the same token", err)
	}
	f.clock.move(2 * time.Second)
	if _, err := f.Login(t.Context(), Login{Code: code}); !errors.Is(err, ErrCodeUsed) {
		t.Errorf("the same code after 11 s: %v, want %v", err, ErrCodeUsed)
	}
	if n := f.weChat.Seen(code); n != 2 {
		t.Errorf("WeChat saw the code %d times, want 2", n)
	}
}

func TestACodeIsNeverSentTwiceAfterAnAnswerThatNeverCame(t *testing.T) {
	t.Parallel()
	for _, ambiguous := range []error{wechat.ErrTimeout, wechat.ErrBadResponse} {
		f := newFixture(t)
		client := &scriptedWeChat{answer: func(string, int) (wechat.Session, error) { return wechat.Session{}, ambiguous }}
		f.with(client)
		for i := range 3 {
			_, err := f.Login(t.Context(), Login{Code: "lost"})
			if err == nil {
				t.Error("a login without an answer worked")
			}
			if sentBefore := i > 0; errors.Is(err, ErrSentBefore) != sentBefore {
				t.Errorf("time %d: %v; that the code was sent before is what to say from the second time on", i+1, err)
			}
			f.clock.move(time.Minute)
		}
		if n := client.count("lost"); n != 1 {
			t.Errorf("after %v the code was sent %d times, want once", ambiguous, n)
		}
	}
}

func TestAClearRefusalIsNotRemembered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	client := &scriptedWeChat{answer: func(_ string, n int) (wechat.Session, error) {
		if n == 1 {
			return wechat.Session{}, wechat.ErrUnreachable // nothing was sent
		}
		return someSession("", 0)
	}}
	f.with(client)
	if _, err := f.Login(t.Context(), Login{Code: "again"}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("unreachable: %v", err)
	}
	if _, err := f.Login(t.Context(), Login{Code: "again"}); err != nil {
		t.Errorf("the second try: %v", err)
	}
}

func TestABusyWeChatIsAskedThriceAtMost(t *testing.T) {
	t.Parallel()
	for busy, want := range map[int]int{1: 2, 2: 3, 5: 3} {
		f := newFixture(t)
		client := &scriptedWeChat{answer: func(_ string, n int) (wechat.Session, error) {
			if n <= busy {
				return wechat.Session{}, &wechat.Error{API: "jscode2session", Code: wechat.ErrCodeBusy}
			}
			return someSession("", 0)
		}}
		f.with(client)
		_, err := f.Login(t.Context(), Login{Code: "busy"})
		if failed := errors.Is(err, ErrBusy); failed != (busy > busyRetries) {
			t.Errorf("busy %d times: %v", busy, err)
		}
		if n := client.count("busy"); n != want {
			t.Errorf("busy %d times: sent %d times, want %d", busy, n, want)
		}
	}
}

func TestOnlyBusyIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, code := range wechat.KnownCodes() {
		if code == wechat.ErrCodeBusy {
			continue
		}
		f := newFixture(t)
		client := &scriptedWeChat{answer: func(string, int) (wechat.Session, error) {
			return wechat.Session{}, &wechat.Error{API: "jscode2session", Code: code}
		}}
		f.with(client)
		_, _ = f.Login(t.Context(), Login{Code: "once"})
		if n := client.count("once"); n != 1 {
			t.Errorf("errcode %d: sent %d times, want once", code, n)
		}
	}
}

func TestAWeChatThatDoesNotAnswerIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var down atomic.Bool
	down.Store(true)
	client := &scriptedWeChat{answer: func(string, int) (wechat.Session, error) {
		if down.Load() {
			return wechat.Session{}, wechat.ErrTimeout
		}
		return someSession("", 0)
	}}
	f.with(client)
	token := "" // of somebody who is logged in already
	next := 0
	login := func() error {
		next++
		grant, err := f.Login(t.Context(), Login{Code: fmt.Sprint("code", next)})
		token = grant.Token
		return err
	}
	for range weChatBreaker().MinRequests {
		if err := login(); !errors.Is(err, ErrTimeout) {
			t.Fatalf("while WeChat is down: %v, want %v", err, ErrTimeout)
		}
	}
	if err := login(); !errors.Is(err, ErrBusy) || client.count(fmt.Sprint("code", next)) != 0 {
		t.Errorf("with the breaker open: %v, sent %d times; want %v at once", err, client.count(fmt.Sprint("code", next)), ErrBusy)
	}
	f.clock.move(weChatBreaker().Open)
	if err := login(); !errors.Is(err, ErrTimeout) {
		t.Errorf("the probe: %v, want %v", err, ErrTimeout)
	}
	if err := login(); !errors.Is(err, ErrBusy) {
		t.Errorf("after a probe that failed: %v, want %v", err, ErrBusy)
	}
	down.Store(false)
	f.clock.move(weChatBreaker().Open)
	if err := login(); err != nil {
		t.Fatalf("the probe when WeChat is back: %v", err)
	}
	f.wantVerdict(t, "a token of the probe", token, nil)
	if err := login(); err != nil {
		t.Errorf("after a probe that worked: %v", err)
	}
}

func TestAnExchangeThatPanicsIsNobodysLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var waiting sync.WaitGroup
	client := &scriptedWeChat{answer: func(string, int) (wechat.Session, error) {
		waiting.Go(func() {
			if grant, err := f.Login(t.Context(), Login{Code: "fatal"}); !errors.Is(err, ErrSentBefore) {
				t.Errorf("who waited got %+v, %v; want %v", grant, err, ErrSentBefore)
			}
		})
		panic("a fault of our own")
	}}
	f.with(client)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = f.Login(t.Context(), Login{Code: "fatal"})
	}()
	waiting.Wait()
	if n := client.count("fatal"); n != 1 {
		t.Errorf("the code was sent %d times, want once", n)
	}
}
