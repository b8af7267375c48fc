package wechat_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

func TestAPhoneCodeBuysThePhoneNumberOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client, code := newClient(t, s.URL()), s.IssuePhoneCode("alice")
	got, err := client.PhoneNumber(t.Context(), code, s.OpenID("alice"))
	number := sandbox.PhoneNumber("alice")
	if want := (wechat.Phone{Number: number, PureNumber: number, CountryCode: "86"}); err != nil || got != want {
		t.Errorf("PhoneNumber: got %q %q %q and %v, want %s", got.Number, got.PureNumber, got.CountryCode, err, number)
	}
	_, err = client.PhoneNumber(t.Context(), code, s.OpenID("alice"))
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidCode || answer.API != "getuserphonenumber" || s.Seen(code) != 2 {
		t.Errorf("second use: got %v, want errcode 40029 of getuserphonenumber", err)
	}
	tellsNothing(t, err, code)
}

func TestAnotherUsersPhoneCodeBuysNothingAndStaysGood(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client, code := newClient(t, s.URL()), s.IssuePhoneCode("alice")
	_, err := client.PhoneNumber(t.Context(), code, s.OpenID("mallory"))
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidOpenID {
		t.Errorf("alice's code for mallory: got %v, want errcode 40003", err)
	}
	tellsNothing(t, err, s.OpenID("mallory"))
	if _, err := client.PhoneNumber(t.Context(), code, s.OpenID("alice")); err != nil {
		t.Errorf("alice's code for alice, afterwards: %v", err)
	}
}

func TestALoginCodeBuysNoPhoneNumber(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	_, err := newClient(t, s.URL()).PhoneNumber(t.Context(), s.IssueCode("alice"), s.OpenID("alice"))
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidCode {
		t.Errorf("PhoneNumber with the code of wx.login: got %v, want errcode 40029", err)
	}
}

func TestAnErrcodeForAPhoneCodeArrivesAsAnError(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, errcode := range []int{wechat.ErrCodeBusy, wechat.ErrCodeInvalidCode, wechat.ErrCodeMinuteQuota, wechat.ErrCodeInvalidAppID, 99999} {
		code := "err-" + strconv.Itoa(errcode)
		_, err := client.PhoneNumber(t.Context(), code, s.OpenID("alice"))
		var answer *wechat.Error
		if !errors.As(err, &answer) || answer.Code != errcode || s.Seen(code) != 1 {
			t.Errorf("PhoneNumber(%s): got %v after %d requests, want errcode %d after 1", code, err, s.Seen(code), errcode)
		}
		tellsNothing(t, err, code)
	}
}

func TestAPhoneCodeIsSentOnceAfterALostAnswer(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, kind := range []string{"reset", "half", "html", "502", "cut", "empty"} {
		fail(t, s, sandbox.Failure{API: "getuserphonenumber", Kinds: []string{kind}})
		code := s.IssuePhoneCode("alice")
		if _, err := client.PhoneNumber(t.Context(), code, s.OpenID("alice")); !errors.Is(err, wechat.ErrBadResponse) || s.Seen(code) != 1 {
			t.Errorf("PhoneNumber while %s: got %v after %d requests, want ErrBadResponse after 1", kind, err, s.Seen(code))
		}
	}
}

func TestAMalformedPhoneCodeIsNotSent(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, code := range []string{"", "a b", `a","b":"`, strings.Repeat("a", 129)} {
		if _, err := client.PhoneNumber(t.Context(), code, s.OpenID("alice")); !errors.Is(err, wechat.ErrInvalidCode) {
			t.Errorf("PhoneNumber(%q): got %v, want ErrInvalidCode", code, err)
		}
	}
	if got := s.Stats().APIs; len(got) != 0 {
		t.Errorf("requests: got %v, want none", got)
	}
}

func TestAPrintedPhoneShowsNothing(t *testing.T) {
	t.Parallel()
	phone := wechat.Phone{Number: "13580006666"}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("event", "phone", phone)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		_, _ = fmt.Fprintf(&out, verb+verb, phone, &phone)
	}
	if strings.Contains(out.String(), "1358") || strings.Contains(out.String(), "31333538") {
		t.Errorf("printed: got %s, want no number in it", out.String())
	}
}
