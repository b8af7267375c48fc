package authn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
)

// webPeople stands for an account of web pages whose codes are names.
type webPeople struct{ asked int }

func (w *webPeople) WebSession(_ context.Context, code string, _ bool) (wechat.WebSession, error) {
	w.asked++
	return wechat.WebSession{OpenID: "o" + code, UnionID: "u" + code, Nickname: strings.Repeat("很", 65), Avatar: "wxfile://x"}, nil
}

const webPage = "https://h5.example.com/"

// newWebFixture is a fixture with an account of web pages.
func newWebFixture(t *testing.T) (*fixture, *webPeople) {
	t.Helper()
	f, people := newFixture(t), new(webPeople)
	f.Web = newWeb(f.Authn, Deps{Webs: map[wechat.WebKind]WebApp{wechat.WebOfficialAccount: {"wx2", people}}, Budget: patience, Now: f.clock.Now})
	return f, people
}

func TestALoginOnAWebPageEnds(t *testing.T) {
	t.Parallel()
	f, people := newWebFixture(t)
	state := f.Web.Begin("browser", wechat.WebOfficialAccount, webPage)
	f.clock.move(WebStateLife - time.Second)
	code, err := f.Web.Return(t.Context(), "browser", state, "alice", false)
	if err != nil {
		t.Fatal(err)
	}
	f.clock.move(webCodeLife - time.Second)
	if grant, err := f.Web.Exchange(t.Context(), "browser", code, Login{}); err != nil || grant.User.OpenID != "oalice" || grant.User.AppID != "wx2" || grant.User.Nickname != "" || grant.User.Avatar != "" {
		t.Fatalf("a second before each end: %+v, %v", grant.User, err)
	}
	state = f.Web.Begin("browser", wechat.WebOfficialAccount, webPage)
	code, err = f.Web.Return(t.Context(), "browser", state, "bob", false)
	if err != nil {
		t.Fatal(err)
	}
	f.clock.move(webCodeLife)
	if _, err := f.Web.Exchange(t.Context(), "browser", code, Login{}); !errors.Is(err, ErrWebLogin) {
		t.Errorf("a minute after it was made: %v", err)
	}
	f.clock.move(WebStateLife)
	asked := people.asked
	if _, err := f.Web.Return(t.Context(), "browser", state, "bob", false); !errors.Is(err, ErrWebLogin) || people.asked != asked {
		t.Errorf("a state of ten minutes ago: %v, WeChat was asked %d times", err, people.asked-asked)
	}
}

// TestAStateOutlivesTheRotationOfKeys until its key is gone.
func TestAStateOutlivesTheRotationOfKeys(t *testing.T) {
	t.Parallel()
	f, _ := newWebFixture(t)
	state := f.Web.Begin("browser", wechat.WebOfficialAccount, webPage)
	for _, row := range []struct {
		keys []token.KeyConfig
		want error
	}{
		{[]token.KeyConfig{testKey("new"), testKey("main")}, nil},
		{[]token.KeyConfig{testKey("new")}, ErrWebLogin},
	} {
		keys, err := f.Tokens.NewKeyring("HS256", row.keys)
		if err != nil {
			t.Fatal(err)
		}
		f.Tokens.SetKeys(keys)
		if err := f.Web.Check("browser", state); !errors.Is(err, row.want) {
			t.Errorf("with %d keys: %v, want %v", len(row.keys), err, row.want)
		}
	}
}

// TestTicketsAreForOnePurposeAndOneHolder, and no part borrows bytes of another.
func TestTicketsAreForOnePurposeAndOneHolder(t *testing.T) {
	t.Parallel()
	keys := newFixture(t).Tokens.Keys()
	ticket := keys.Ticket("purpose", "holder", []byte("payload"))
	if payload, ok := keys.OpenTicket("purpose", "holder", ticket); !ok || string(payload) != "payload" {
		t.Fatalf("its own: %q, %v", payload, ok)
	}
	for _, other := range [][2]string{{"purposeh", "older"}, {"purpose", ""}, {"", "holder"}, {"purpos", "eholder"}, {"purpose", "holder2"}, {"purpose", "Holder"}} {
		if _, ok := keys.OpenTicket(other[0], other[1], ticket); ok {
			t.Errorf("%q opens it", other)
		}
	}
	for _, text := range []string{"", ticket[:len(ticket)-2], ticket + "00", strings.ToUpper(ticket), strings.Repeat("0", 32), "zz"} {
		if _, ok := keys.OpenTicket("purpose", "holder", text); ok {
			t.Errorf("%s opens", text)
		}
	}
}
