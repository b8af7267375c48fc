package dashboard

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/answer"
)

const token = "the-token-of-the-operator"

func newSessions() (*Sessions, func(time.Duration)) {
	var ahead atomic.Int64
	began := time.Unix(1_800_000_000, 0)
	return NewSessions(func() time.Time { return began.Add(time.Duration(ahead.Load())) }), func(d time.Duration) { ahead.Add(int64(d)) }
}

var here = netip.MustParseAddr("127.0.0.1")

func TestOfManyWhoSendOneCodeOneIsSignedIn(t *testing.T) {
	t.Parallel()
	s, _ := newSessions()
	code, _ := s.NewCode(token)
	var in atomic.Int32
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			if _, _, err := s.SignInByCode(token, code); err == nil {
				in.Add(1)
			}
		})
	}
	group.Wait()
	if in.Load() != 1 {
		t.Errorf("%d were signed in by one code, want 1", in.Load())
	}
}

func TestTheOldestCodeGoesWhenThereAreTooMany(t *testing.T) {
	t.Parallel()
	s, _ := newSessions()
	var codes []string
	for range 17 {
		code, _ := s.NewCode(token)
		codes = append(codes, code)
	}
	for i, code := range codes {
		_, _, err := s.SignInByCode(token, code)
		if refused := errors.Is(err, answer.ErrDashboardCode); refused != (i == 0) {
			t.Errorf("code %d: %v", i, err)
		}
	}
}

func TestFailuresAreOfAnAddressAndEnd(t *testing.T) {
	t.Parallel()
	s, advance := newSessions()
	guess := func(from string, want error) {
		t.Helper()
		if _, _, err := s.SignInByToken(netip.MustParseAddr(from), token, "guess"); !errors.Is(err, want) {
			t.Errorf("a guess from %s: %v, want %v", from, err, want)
		}
	}
	for i := range 5 {
		guess(fmt.Sprintf("2001:db8::%d", i+1), answer.ErrAdminToken)
	}
	guess("2001:db8::ffff", answer.ErrSignIns) // of the same subscriber
	guess("2001:db8:0:1::1", answer.ErrAdminToken)
	guess("::ffff:10.0.0.1", answer.ErrAdminToken)
	if _, _, err := s.SignInByToken(here, token, token); err != nil {
		t.Errorf("another address: %v", err)
	}
	advance(time.Minute - 1)
	guess("2001:db8::1", answer.ErrSignIns)
	advance(1)
	guess("2001:db8::1", answer.ErrAdminToken)
	for range 4 {
		guess("10.0.0.1", answer.ErrAdminToken) // the one of before is over
	}
	guess("::ffff:10.0.0.1", answer.ErrAdminToken)
	guess("10.0.0.1", answer.ErrSignIns)
}

func TestAHostOfAddressesKeepsNobodyOutAndTakesNoMemory(t *testing.T) {
	t.Parallel()
	s, _ := newSessions()
	for i := range 20_000 {
		from := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(i >> 16), byte(i >> 8), byte(i)})
		if _, _, err := s.SignInByToken(from, token, "guess"); !errors.Is(err, answer.ErrAdminToken) {
			t.Fatalf("guess %d: %v", i, err)
		}
		if len(s.failures) > maxAddresses {
			t.Fatalf("after guess %d, %d addresses are remembered, want %d at most", i, len(s.failures), maxAddresses)
		}
	}
	if _, _, err := s.SignInByToken(here, token, token); err != nil {
		t.Errorf("the operator: %v", err)
	}
}

func TestASessionIsOfOneTokenAndLastsEightHours(t *testing.T) {
	t.Parallel()
	s, advance := newSessions()
	session, key, err := s.SignInByToken(here, token, token)
	if err != nil || len(session.ID) != 8 {
		t.Fatalf("got %+v, %v", session, err)
	}
	for _, look := range []struct {
		token, key string
		want       bool
	}{{token, key, true}, {token, key + "x", false}, {token, "", false}, {token, session.ID, false}, {"", key, false}, {token + "2", key, false}} {
		if _, found := s.Find(look.token, look.key); found != look.want {
			t.Errorf("with the token %q and the key %q: got %v, want %v", look.token, look.key, found, look.want)
		}
	}
	advance(8*time.Hour - 1)
	if _, found := s.Find(token, key); !found {
		t.Error("the session ended before its time")
	}
	advance(1)
	if _, found := s.Find(token, key); found {
		t.Error("the session lives on after eight hours")
	}
}

func TestNoEmptyTokenSignsIn(t *testing.T) {
	t.Parallel()
	s, _ := newSessions()
	if _, _, err := s.SignInByToken(here, "", ""); !errors.Is(err, answer.ErrAdminToken) {
		t.Errorf("without server.admin_token, an empty one: %v", err)
	}
	if _, _, err := s.SignInByCode("", ""); !errors.Is(err, answer.ErrDashboardCode) {
		t.Errorf("an empty code: %v", err)
	}
}
