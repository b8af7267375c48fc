package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

// TestThePageThatAsksRunsNothingOfItsURL has markup where a URL may have it, and words in it that the page replaces.
func TestThePageThatAsksRunsNothingOfItsURL(t *testing.T) {
	t.Parallel()
	account := sandbox.WebAccount{AppID: "wx0ff1c1a100000001", Secret: appSecret}
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, OfficialAccount: account, Now: time.Now})
	if err == nil {
		err = s.Start("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	redirect := `http://127.0.0.1:8080/?a=1&b="><script>alert(1)</script>'{{state}}{{.}}`
	query := "appid=" + account.AppID + "&redirect_uri=" + url.QueryEscape(redirect) + "&response_type=code&scope=" + wechat.ScopeUserInfo + "&state=S1"
	status, header, body := call(t, http.MethodGet, s.URL()+"/connect/oauth2/authorize?"+query, "")
	page := string(body)
	if status != http.StatusOK || header.Get("Content-Type") != "text/html; charset=utf-8" || strings.Count(page, "<script>") != 1 {
		t.Errorf("got %d, %s and\n%s\nwant the page with no script but its own", status, header.Get("Content-Type"), page)
	}
	for _, want := range []string{
		`name="redirect_uri" value="http://127.0.0.1:8080/?a=1&amp;b=&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;{{state}}{{.}}"`,
		`name="state" value="S1"`, `name="appid" value="wx0ff1c1a100000001"`, `name="scope" value="snsapi_userinfo"`,
		`<h1>公众号网页授权</h1>`, `<p>127.0.0.1:8080 申请使用你的微信帐号（snsapi_userinfo）</p>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
}
