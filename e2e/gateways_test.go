package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// newGateways is a world with n gateways on one MariaDB.
func newGateways(t *testing.T, w *world, n int) []*world {
	t.Helper()
	_, dsn := newDatabase(t)
	w.onDatabase(dsn)
	w.serve()
	all := []*world{w}
	for len(all) < n {
		all = append(all, w.beside())
	}
	return all
}

func (w *world) loginWith(code string) answer {
	got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code))
	if err != nil {
		w.t.Error(err)
	}
	return got
}

// TestACodeThatComesTwiceToTwoGateways has one outcome: after another, and at once.
func TestACodeThatComesTwiceToTwoGateways(t *testing.T) {
	t.Parallel()
	all := newGateways(t, newWorld(t), 2)
	one, two := all[0], all[1]
	code := one.weChat.IssueCode("alice")
	first, second := one.loginWith(code), two.loginWith(code)
	if token := first.data()["access_token"]; first.status != http.StatusOK || token == nil || second.data()["access_token"] != token {
		t.Errorf("one after the other: %d %s\nand %d %s, want one token", first.status, first.body, second.status, second.body)
	}
	if n := one.weChat.Seen(code); n != 1 {
		t.Errorf("WeChat was asked %d times, want once", n)
	}
	for i := range 20 {
		code := one.weChat.IssueCode(fmt.Sprint("person", i))
		var got [4]answer
		var group sync.WaitGroup
		for n := range got {
			group.Go(func() { got[n] = all[n%2].loginWith(code) })
		}
		group.Wait()
		for n := range got {
			if token := got[n].data()["access_token"]; got[n].status != http.StatusOK || token != got[0].data()["access_token"] {
				t.Errorf("at once: %d %s\nand %d %s, want one token", got[0].status, got[0].body, got[n].status, got[n].body)
			}
		}
	}
}

// TestAUsedCodeIsAnsweredAtOnceByAGatewayThatIsAlone: it looks for the login of another one only beside another one, which may
// be about to write it down, again and again.
func TestAUsedCodeIsAnsweredAtOnceByAGatewayThatIsAlone(t *testing.T) {
	t.Parallel()
	w := newGateways(t, newWorld(t), 1)[0]
	looked := 0 // before
	looks := func() int {
		t.Helper()
		w.want("a used code", w.loginWith("err-40163"), http.StatusUnauthorized, "wx_code_used")
		var all int
		if _, err := fmt.Sscan(w.gauge(`wxgate_storage_operation_duration_seconds_count{operation="login_of"}`), &all); err != nil {
			t.Fatal(err)
		}
		more := all - looked
		looked = all
		return more
	}
	if n := looks(); n != 2 { // before WeChat is asked, and after
		t.Errorf("a gateway that is alone looked %d times, want twice", n)
	}
	other := w.beside()
	if n := looks(); n <= 2 {
		t.Errorf("beside another gateway it looked %d times, want that it waits", n)
	}
	if code := other.stop(t); code != 0 {
		t.Errorf("the other gateway ended with %d", code)
	}
	if n := looks(); n != 2 {
		t.Errorf("after the other gateway had left it looked %d times, want twice", n)
	}
}

// TestTheServiceIsToldByOneGatewayAtATime with logins on three of them at once, also of one person on two.
func TestTheServiceIsToldByOneGatewayAtATime(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, true)
	all := newGateways(t, w, 3)
	s.setAnswer(func(told) int {
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // a service that takes a while
		return http.StatusNoContent
	})
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			if _, got, err := all[i%3].tryLogin(fmt.Sprint("person", i/2)); err != nil || got.status != http.StatusOK {
				t.Errorf("login %d: %v %d %s", i, err, got.status, got.body)
			}
		})
	}
	group.Wait()
	for id := range int64(30) {
		if events := s.events(id + 1); len(events) != 1 {
			t.Errorf("of user %d the service was told %+v, want once", id+1, events)
		}
	}
}

// TestAnotherGatewayTellsTheServiceAfterAKillOrAFreeze that met one in the midst of it.
func TestAnotherGatewayTellsTheServiceAfterAKillOrAFreeze(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"kill": syscall.SIGKILL, "freeze": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newPeopleWorld(t, true)
			all := newGateways(t, w, 2)
			arrived, once := make(chan struct{}), sync.Once{}
			var stopped atomic.Bool
			s.setAnswer(func(told) int {
				once.Do(func() { close(arrived) })
				if stopped.Load() {
					return http.StatusNoContent
				}
				<-t.Context().Done()
				return http.StatusServiceUnavailable
			})
			go func() { _, _, _ = all[0].tryLogin("alice") }()
			<-arrived
			stopped.Store(true)
			if err := all[0].cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			eventually(t, 40*time.Second, func() bool { _, known := s.row(1); return known })
			t.Logf("another gateway told the service after %v", time.Since(start).Round(10*time.Millisecond))
			if took := time.Since(start); took > 25*time.Second {
				t.Errorf("it took %v, want seconds", took)
			}
			if _, got, err := all[1].tryLogin("alice"); err != nil || got.status != http.StatusOK {
				t.Errorf("a login on the other gateway: %v %d %s", err, got.status, got.body)
			}
			events := s.events(1)
			for _, event := range events {
				if event.key != events[0].key {
					t.Errorf("one event came as %+v, want one webhook-id", events)
				}
			}
			if signal == syscall.SIGSTOP {
				if err := all[0].cmd.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				eventually(t, 20*time.Second, func() bool { return all[0].call("GET", "/healthz", "", "").status == http.StatusOK })
				if late := s.events(1); len(late) != len(events) {
					t.Errorf("the gateway that was frozen told it again: %+v", late)
				}
			}
		})
	}
}

// TestSessionsAreOfAllGateways: their limit, refreshing with grace, and the end of a session whose old token is used.
func TestSessionsAreOfAllGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rewrite("storage:", "authn: { token_ttl: 1m, sessions: { max_per_user: 2 }, refresh: { window: 1h, grace: 3s } }\nstorage:")
	all := newGateways(t, w, 3)
	profile := func(w *world, token string) answer { return w.call("GET", "/api/v1/user/profile", token, "") }
	var tokens []string
	for _, gateway := range all {
		tokens = append(tokens, gateway.login("alice"))
	}
	for _, gateway := range all {
		eventually(t, 5*time.Second, func() bool { return profile(gateway, tokens[0]).status == http.StatusUnauthorized })
		gateway.want("the second session", profile(gateway, tokens[1]), http.StatusOK, "")
	}
	bob := all[0].login("bob")
	refresh := func(w *world) answer { return w.call("POST", "/api/v1/auth/refresh", bob, "") }
	var first answer
	eventually(t, 90*time.Second, func() bool { // a young token is returned as it is
		first = refresh(all[0])
		return first.status == http.StatusOK && first.data()["access_token"] != bob
	})
	if second := refresh(all[1]); second.status != http.StatusOK || second.data()["access_token"] != first.data()["access_token"] {
		t.Errorf("refreshed on two gateways to %s and %s, want one token", first.body, second.body)
	}
	renewed, _ := first.data()["access_token"].(string)
	all[2].want("the new token", profile(all[2], renewed), http.StatusOK, "")
	var reused answer
	eventually(t, 20*time.Second, func() bool { // once the grace is over
		reused = refresh(all[2])
		return reused.status == http.StatusUnauthorized
	})
	all[2].want("the old token", reused, http.StatusUnauthorized, "token_reused")
	for _, gateway := range all {
		eventually(t, 5*time.Second, func() bool { return profile(gateway, renewed).status == http.StatusUnauthorized })
	}
}

// TestAGatewayWithOtherKeysIsRefused, at its start and at a reload; a rotation gateway by gateway goes on.
func TestAGatewayWithOtherKeysIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const keyA, keyB = `{ id: a, secret: "43a0a93491f8a7e54fbb4da4d054af847382e0e5" }`, `{ id: b, secret: "8bdbc299632fdc82d808fa38754454a7e45092be" }`
	section := func(keys ...string) string { return "authn: { keys: [ " + strings.Join(keys, ", ") + " ] }\nstorage:" }
	w.rewrite("storage:", section(keyA))
	all := newGateways(t, w, 1)
	token := all[0].login("alice")
	refused := func(what string) {
		t.Helper()
		p := start(t, []string{"serve", "-c", w.config})
		select {
		case <-p.exited:
		case <-time.After(60 * time.Second):
			t.Fatalf("%s: the gateway serves:\n%s", what, p.output)
		}
		said := p.output.String()
		if !strings.Contains(said, "authn.keys") || !strings.Contains(said, "stop every gateway first") || strings.Contains(said, "8bdbc299632f") || p.cmd.ProcessState.ExitCode() == 0 {
			t.Errorf("%s: it says\n%s", what, said)
		}
	}
	// The first gateway sees each change too, and refuses it as long as another gateway is there that does not fit.
	w.rewrite(section(keyA), section(keyA, keyB))
	other := w.beside()
	other.want("a token of the other gateway", other.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
	eventually(t, 20*time.Second, func() bool { return strings.Contains(all[0].output.String(), `"msg":"reloaded"`) })
	w.rewrite(section(keyA, keyB), section(keyB))
	refused("a gateway without the first key")
	for _, gateway := range []*world{all[0], other} {
		eventually(t, 20*time.Second, func() bool { return strings.Contains(gateway.output.String(), "reload refused") })
	}
	w.rewrite(section(keyB), section(keyB, keyA))
	third := w.beside()
	third.want("a token from before", third.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
	fresh := third.login("bob")
	all[0].want("a token of the new key", all[0].call("GET", "/api/v1/user/profile", fresh, ""), http.StatusOK, "")
	for _, gateway := range []*world{all[0], other, third} {
		if code := gateway.stop(t); code != 0 {
			t.Errorf("a gateway ended with %d", code)
		}
	}
	w.rewrite(section(keyB, keyA), section(strings.Replace(keyB, "8bdb", "bdb8", 1)))
	w.serve() // all were stopped, so all may be replaced
	w.want("a token of a key that is gone", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusUnauthorized, "")
}
