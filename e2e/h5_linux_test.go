package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// h5Page logs in as docs/h5.md has it, and shows what came of it.
const h5Page = `<!doctype html><p id="said"></p><script>
const gateway = %q, page = %q, told = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, '', location.pathname);
const say = text => { said.textContent = text };
if (told.has('error')) say('error ' + told.get('error'));
else if (told.has('code')) fetch(gateway + '/api/v1/auth/h5/exchange', {
  method: 'POST', credentials: 'include', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ code: told.get('code') }),
}).then(r => r.json()).then(a => say(a.code + ' ' + (a.reason || a.data.user.nickname) + ' cookie:' + document.cookie)).catch(e => say(String(e)));
else location.href = gateway + '/api/v1/auth/h5/start?return_to=' + encodeURIComponent(page);
</script>`

// TestChromiumLogsInOnAWebPage presses the buttons of WeChat's page: 允许, 拒绝 and 快照页.
func TestChromiumLogsInOnAWebPage(t *testing.T) {
	t.Parallel()
	if os.Getenv("WXGATE_BROWSER") == "" {
		t.Skip("make long WHAT=browser")
	}
	w := newWorld(t)
	var page *httptest.Server
	page = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(rw, h5Page, w.url, page.URL+"/")
	}))
	t.Cleanup(page.Close)
	w.rewrite("server: {", fmt.Sprintf("server: { cors: { origins: [%q], credentials: true },", page.URL))
	w.rewrite("wechat: {", fmt.Sprintf("authn: { link: unionid }\nwechat: { open_url: %q, official_account: { appid: %s, secret: %s, return_to: [%q] },",
		w.weChat.URL(), officialAppID, appSecret, page.URL+"/"))
	w.serve()
	browser := newChromium(t)
	for _, row := range []struct{ button, want string }{
		{"#allow", "200 alice cookie:"}, {"#refuse", "error access_denied"}, {"#snapshot", "error snapshot_user"},
	} {
		browser.call("Page.navigate", map[string]any{"url": page.URL + "/"})
		browser.click(row.button)
		said := ""
		eventually(t, 30*time.Second, func() bool {
			said = browser.eval("document.querySelector('#said')?.textContent ?? ''")
			return said != "" && !strings.Contains(said, "undefined")
		})
		if said != row.want {
			t.Errorf("%s: the page says %q, want %q", row.button, said, row.want)
		}
	}
}
