package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"wxgate/authn/wechat/sandbox"
)

const merchantKey = "0123456789abcdefghijABCDEFGHIJ!#"

// TestTheControlSendsNotificationsWithMistakes looks at what arrives, of each kind.
func TestTheControlSendsNotificationsWithMistakes(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, MchID: "1900000001", APIv3Key: merchantKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var arrived atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		for _, name := range []string{"Timestamp", "Nonce", "Signature", "Serial", "Signature-Type"} {
			if r.Header.Get("Wechatpay-"+name) == "" {
				t.Errorf("a notification has no Wechatpay-%s", name)
			}
		}
		if body, _ := io.ReadAll(r.Body); !json.Valid(body) {
			t.Errorf("a notification is %s", body)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	call := func(method, path, body string) (int, string) {
		request, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(answer)
	}
	want := int32(0)
	for _, mistake := range append(sandbox.Mistakes(), "") {
		if want++; mistake == sandbox.MistakeTwice {
			want++
		}
		status, answer := call("POST", "/sandbox/pay", `{"url":"`+receiver.URL+`/pay","mistake":"`+mistake+`"}`)
		if status != http.StatusOK || !strings.Contains(answer, `"status":204`) || arrived.Load() != want {
			t.Errorf("%q: %d %s, and %d arrived, want %d", mistake, status, answer, arrived.Load(), want)
		}
	}
	for _, body := range []string{`{"url":"http://example.com/"}`, `{"url":"` + receiver.URL + `","mistake":"unheard"}`, `{}`, `[]`} {
		if status, answer := call("POST", "/sandbox/pay", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s, want 400", body, status, answer)
		}
	}
	if status, answer := call("GET", "/sandbox/pay", ""); status != http.StatusOK || !strings.Contains(answer, "BEGIN PUBLIC KEY") || strings.Contains(answer, "PRIVATE") || strings.Contains(answer, merchantKey) {
		t.Errorf("the keys: %d %s", status, answer)
	}
}

func TestASandboxWithoutAMerchantNotifiesNobody(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Merchant(); err == nil || m != nil {
		t.Errorf("got %v and %v, want an error", m, err)
	}
	if _, err := sandbox.NewMerchant("1", "short", nil); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a key of 5 bytes: %v", err)
	}
	if slices.Contains(sandbox.Mistakes(), "") {
		t.Error("nothing is a mistake")
	}
}
