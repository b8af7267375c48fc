package e2e

import (
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTheLinesThatTheDemoPrintsWorkWhenPasted runs exactly what `wxgate demo` prints, in a shell.
func TestTheLinesThatTheDemoPrintsWorkWhenPasted(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "sed", "tee"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the demo's lines need %s: %v", tool, err)
		}
	}
	p := start(t, []string{"demo", "--listen", "127.0.0.1:0"})
	var lines []string
	eventually(t, 60*time.Second, func() bool {
		lines = curlLines(p.output.String())
		return len(lines) == 10 && strings.Contains(p.output.String(), "msg=serving") || p.gone()
	})
	wants := []string{
		`"access_token":"`, `"X-User-Id":["1"]`, "401 Unauthorized", `"errCode":0`, `"bought":true`, `"refund":"asked"`, `"deletes_at":null`, `"type":"user.erased"`, `{"ok":true}`, `{"ok":true}`,
	}
	if len(lines) != len(wants) {
		t.Fatalf("the demo printed %d curl lines, want %d:\n%s", len(lines), len(wants), p.output)
	}
	for i, want := range wants {
		var out []byte
		var err error
		eventually(t, 20*time.Second, func() bool { // what others are told takes its time; whatever else is wrong stays so
			out, err = exec.Command("sh", "-c", lines[i]).CombinedOutput()
			keepsSecrets(t, lines[i], string(out))
			return err == nil && strings.Contains(string(out), want) || i != 4 && i != 7
		})
		if err != nil || !strings.Contains(string(out), want) || !strings.HasSuffix(string(out), "\n") {
			t.Errorf("%s\nanswers %v\n%s\nwant %s and a line of its own for the prompt", lines[i], err, out, want)
		}
		if i != 5 {
			continue
		}
		eventually(t, 20*time.Second, func() bool { // the money is back, and the recipe is the service's again
			out, err := exec.Command("sh", "-c", lines[4]).CombinedOutput()
			return err == nil && strings.Contains(string(out), `"steps":[]`)
		})
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.output)
	}
}

func curlLines(output string) []string {
	var lines []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "curl ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// TestTheDemoTakesTheCodeOfTouristappid logs in as DevTools does with the project as it is shipped.
func TestTheDemoTakesTheCodeOfTouristappid(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"demo", "--listen", "127.0.0.1:0"})
	login := regexp.MustCompile(`http://127\.0\.0\.1:\d+/api/v1/auth/wx-login`)
	eventually(t, 30*time.Second, func() bool {
		return strings.Contains(p.output.String(), "msg=serving") && login.MatchString(p.output.String()) || p.gone()
	})
	client := &http.Client{Timeout: 20 * time.Second}
	for range 2 {
		resp, err := client.Post(login.FindString(p.output.String()), "application/json", strings.NewReader(`{"code":"the code is a mock one"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"user":{"id":1,`) {
			t.Errorf("a tourist: %d %s, want a login of user 1", resp.StatusCode, body)
		}
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.output)
	}
}
