package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	events  []event // that came while answers were read
}

// event is something that happened in the browser.
type event struct {
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
}

func newChromium(t *testing.T) *chromium {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatalf("%v: install it (Debian: apt-get install chromium)", err)
	}
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
	cmd := exec.Command("timeout", "300", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir="+dir)
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
			event

			ID     int            `json:"id"`
			Result map[string]any `json:"result"`
		}
		if json.Unmarshal(text[:len(text)-1], &answer) != nil {
			continue
		}
		switch {
		case answer.Method != "":
			c.events = append(c.events, answer.event)
		case answer.ID == c.last:
			return answer.Result
		}
	}
}

// eval is the value of a script in the page, as text.
func (c *chromium) eval(script string) string {
	c.t.Helper()
	result, _ := c.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true})["result"].(map[string]any)
	return fmt.Sprint(result["value"])
}

// click presses a button as soon as it is there.
func (c *chromium) click(selector string) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, func() bool {
		return c.eval(fmt.Sprintf("(b => b ? (b.click(), 'pressed') : '')(document.querySelector(%q))", selector)) == "pressed"
	})
}

// press presses the button with a text, in the last of the elements that match a selector, as soon as it is there and may be pressed.
func (c *chromium) press(within, text string) {
	c.t.Helper()
	script := fmt.Sprintf(`(b => b && !b.disabled ? (b.click(), 'pressed') : '')(
		[...[...document.querySelectorAll(%q)].pop()?.querySelectorAll('button, a, option') ?? []].find(b => b.textContent.trim() === %q))`, within, text)
	c.until("pressing "+text+" in "+within, func() bool { return c.eval(script) == "pressed" })
}

// fill writes into a field as a person does.
func (c *chromium) fill(selector, text string) {
	c.t.Helper()
	focused := func() bool {
		return c.eval(fmt.Sprintf("(f => f ? (f.value = '', f.focus(), document.activeElement === f) : false)(document.querySelector(%q))", selector)) == "true"
	}
	c.until("writing into "+selector, focused)
	c.call("Input.insertText", map[string]any{"text": text})
}

// text is what a part of the page says, "" without that part.
func (c *chromium) text(selector string) string {
	c.t.Helper()
	return c.eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

// says waits until a part of the page says something.
func (c *chromium) says(selector, text string) {
	c.t.Helper()
	c.until(fmt.Sprintf("%s saying %q", selector, text), func() bool { return strings.Contains(c.text(selector), text) })
}

// screenshot writes the whole page into a file.
func (c *chromium) screenshot(file string) {
	c.t.Helper()
	shot, _ := c.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true})["data"].(string)
	png, err := base64.StdEncoding.DecodeString(shot)
	if err != nil || len(png) == 0 {
		c.t.Fatalf("%s: %v", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// until waits for something to happen in the page.
func (c *chromium) until(what string, happens func() bool) {
	c.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !happens() {
		select {
		case <-deadline.C:
			c.t.Fatalf("%s: it did not happen within 30 s; the page says:\n%s", what, c.text("body"))
		case <-tick.C:
		}
	}
}
