package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// chromium is a browser that a test drives over its debugging pipe.
type chromium struct {
	t       *testing.T
	in      *os.File
	out     *bufio.Reader
	session string
	last    int
}

func newChromium(t *testing.T) *chromium {
	t.Helper()
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wxgate-chromium-") // t.TempDir wants it empty at once, and processes of the browser outlive it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventually(t, 10*time.Second, func() bool { return os.RemoveAll(dir) == nil }) })
	cmd := exec.Command("timeout", "120", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir="+dir)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []*os.File{theirIn, theirOut} {
		_ = end.Close()
	}
	c := &chromium{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		c.session = ""
		c.call("Browser.close", map[string]any{})
		_ = cmd.Wait()
		_ = in.Close()
		_ = out.Close()
	})
	target, _ := c.call("Target.createTarget", map[string]any{"url": "about:blank"})["targetId"].(string)
	c.session, _ = c.call("Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	return c
}

// call runs a command of the DevTools protocol and returns its result, nil if it failed, as during a navigation.
func (c *chromium) call(method string, params map[string]any) map[string]any {
	c.t.Helper()
	c.last++
	message := map[string]any{"id": c.last, "method": method, "params": params}
	if c.session != "" {
		message["sessionId"] = c.session
	}
	text, _ := json.Marshal(message)
	if _, err := c.in.Write(append(text, 0)); err != nil {
		c.t.Fatal(err)
	}
	for {
		text, err := c.out.ReadBytes(0)
		if err != nil {
			c.t.Fatalf("%s: %v", method, err)
		}
		var answer struct {
			ID     int            `json:"id"`
			Result map[string]any `json:"result"`
		}
		if json.Unmarshal(text[:len(text)-1], &answer) == nil && answer.ID == c.last {
			return answer.Result
		}
	}
}

// eval is the value of a script in the page, as text.
func (c *chromium) eval(script string) string {
	c.t.Helper()
	result, _ := c.call("Runtime.evaluate", map[string]any{"expression": script})["result"].(map[string]any)
	return fmt.Sprint(result["value"])
}

// click presses a button as soon as it is there.
func (c *chromium) click(selector string) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, func() bool {
		return c.eval(fmt.Sprintf("(b => b ? (b.click(), 'pressed') : '')(document.querySelector(%q))", selector)) == "pressed"
	})
}

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
