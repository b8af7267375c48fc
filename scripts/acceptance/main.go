// Command acceptance runs the tests that a team ticks off before it trusts a login, and prints a table of their results.
// Exit code 1: one of them failed or did not run.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
)

// point is something to tick off, and the test of the same name.
type point struct {
	name, chinese, test string
	front               bool // in miniprogram/tests/e2e/acceptance.test.mjs, otherwise in e2e/acceptance_test.go
}

// points are in the order in which a login does them.
func points() []point {
	front := func(name, chinese string) point { return point{name, chinese, name, true} }
	back := func(name, chinese, test string) point { return point{name, chinese, test, false} }
	return []point{
		front("wx.login gives a code", "wx.login 能拿到 code"),
		front("the user's nickname and avatar are obtained", "能取得用户的昵称和头像"),
		front("the login request reaches the back end", "登录请求能到达后端"),
		front("the token is stored", "token 能存下来"),
		front("the stored user is read back", "能读回存下来的用户信息"),
		front("a refusal of authorisation is handled", "用户拒绝授权时有妥善处理"),
		front("logging out works", "能退出登录"),
		back("the login request is taken", "能接收登录请求", "TestTheLoginRequestIsTaken"),
		back("WeChat gives the openid", "能从微信换到 openid", "TestWeChatGivesTheOpenid"),
		back("a new user is made", "新用户能创建", "TestANewUserIsMade"),
		back("an old one is updated", "老用户能更新", "TestAnOldOneIsUpdated"),
		back("the session_key is kept", "session_key 能保存", "TestTheSessionKeyIsKept"),
		back("a JWT is made", "能签发 JWT", "TestAJWTIsMade"),
		back("it is verified", "JWT 能验证", "TestItIsVerified"),
	}
}

func main() {
	results, err := run(points())
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
	if !report(os.Stdout, points(), results) {
		os.Exit(1)
	}
}

// run returns whether each test that ran passed, by its name.
func run(all []point) (map[string]bool, error) {
	var tests []string
	for _, p := range all {
		if !p.front {
			tests = append(tests, p.test)
		}
	}
	results := map[string]bool{}
	back := exec.CommandContext(context.Background(), "go", "test", "-count=1", "-json", "-run", "^("+strings.Join(tests, "|")+")$", "./e2e")
	if err := read(back, func(line []byte) { readGo(line, results) }); err != nil {
		return nil, err
	}
	build := exec.CommandContext(context.Background(), "npm", "run", "--silent", "gateway")
	build.Dir, build.Stderr = "miniprogram", os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building the gateway of the pages: %w", err)
	}
	front := exec.CommandContext(context.Background(), "node", "--test", "--test-reporter=tap", "tests/e2e/acceptance.test.mjs")
	front.Dir = "miniprogram"
	if err := read(front, func(line []byte) { readTAP(line, results) }); err != nil {
		return nil, err
	}
	return results, nil
}

// read runs a command and calls each with every line that it prints. That tests failed is no error.
func read(cmd *exec.Cmd, each func(line []byte)) error {
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		each(lines.Bytes())
	}
	if err != nil && cmd.ProcessState == nil {
		return fmt.Errorf("running %s: %w", cmd.Args[0], err)
	}
	return nil
}

// readGo takes in a line of go test -json.
func readGo(line []byte, results map[string]bool) {
	var event struct{ Action, Test, Output string }
	if json.Unmarshal(line, &event) != nil {
		return
	}
	switch event.Action {
	case "pass", "fail":
		results[event.Test] = event.Action == "pass"
	case "output":
		if strings.Contains(event.Output, "_test.go:") {
			fmt.Fprint(os.Stderr, event.Output)
		}
	}
}

// readTAP takes in a line of node --test: "ok 1 - its name", or "not ok 1 - its name".
func readTAP(line []byte, results map[string]bool) {
	text, failed := strings.CutPrefix(string(line), "not ")
	if number, name, found := strings.Cut(text, " - "); found && strings.HasPrefix(number, "ok ") {
		results[name] = !failed
	}
}

// report prints a Markdown table, and reports whether all passed.
func report(to io.Writer, all []point, results map[string]bool) bool {
	table, passed := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0), 0
	fmt.Fprintln(table, "| \t| result\t| point\t| 验收点 |")
	fmt.Fprintln(table, "|---\t|---\t|---\t|---|")
	for i, p := range all {
		result := "did not run"
		if ok, ran := results[p.test]; ran && ok {
			result = "passed"
			passed++
		} else if ran {
			result = "FAILED"
		}
		fmt.Fprintf(table, "| %d\t| %s\t| %s\t| %s |\n", i+1, result, p.name, p.chinese)
	}
	_ = table.Flush() // to where main prints: there is nobody else to tell
	fmt.Fprintf(to, "\n%d of %d passed\n", passed, len(all))
	return passed == len(all)
}
