package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script: recipes of the manual and stories of users, step by step, with the real binary. A
// script's tokens have names.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			w := newWorld(t)
			w.dir, w.config = env.WorkDir, filepath.Join(env.WorkDir, "gateway.yaml")
			env.Setenv("WXGATE", binary)
			env.Values[worldKey{}] = &scripted{world: w, tokens: map[string]string{}}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve":   serveCmd,
			"restart": restartCmd,
			"wxgate":  wxgateCmd,
			"call":    callCmd,
			"login":   loginCmd,
			"refresh": refreshCmd,
			"logout":  logoutCmd,
			"mint":    mintCmd,
		},
	})
}

// scripted is the world of one script.
type scripted struct {
	*world
	tokens map[string]string
}

type worldKey struct{}

func scriptedOf(ts *testscript.TestScript) *scripted {
	s, _ := ts.Value(worldKey{}).(*scripted)
	return s
}

// serveCmd starts the gateway: serve 'more lines of gateway.yaml'.
func serveCmd(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptedOf(ts)
	s.writeConfig(strings.Join(args, "\n") + "\n")
	s.serve()
}

// restartCmd stops the gateway as an operator would and starts it with another configuration.
func restartCmd(ts *testscript.TestScript, neg bool, args []string) {
	s := scriptedOf(ts)
	if code := s.stop(s.t); code != 0 {
		ts.Fatalf("exit code %d:\n%s", code, s.output)
	}
	serveCmd(ts, neg, args)
}

// wxgateCmd runs a command of wxgate beside the running gateway; files of the script are named as they are.
func wxgateCmd(ts *testscript.TestScript, neg bool, args []string) {
	for i, arg := range args {
		if _, err := os.Stat(ts.MkAbs(arg)); err == nil {
			args[i] = ts.MkAbs(arg)
		}
	}
	stdout, stderr, code := scriptedOf(ts).wxgate("", args...)
	_, _ = ts.Stdout().Write([]byte(stdout))
	_, _ = ts.Stderr().Write([]byte(stderr))
	ts.Logf("%s%s", stdout, stderr)
	if (code != 0) != neg {
		ts.Fatalf("wxgate %v: exit code %d", args, code)
	}
}

// callCmd sends a request with a named token; with ! it wants a refusal.
func callCmd(ts *testscript.TestScript, neg bool, args []string) {
	s := scriptedOf(ts)
	got := s.call(args[0], args[1], s.tokens[args[2]], "")
	_, _ = ts.Stdout().Write([]byte(got.body))
	ts.Logf("%d %s", got.status, got.body)
	if (got.status >= 400) != neg {
		ts.Fatalf("%v: %d %s", args, got.status, got.body)
	}
}

// loginCmd logs a person in: login PERSON TOKEN.
func loginCmd(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptedOf(ts)
	s.tokens[args[1]] = s.login(args[0])
}

// refreshCmd refreshes a token: refresh OLD NEW.
func refreshCmd(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptedOf(ts)
	got := s.call("POST", "/api/v1/auth/refresh", s.tokens[args[0]], "")
	token, _ := got.data()["access_token"].(string)
	if token == "" {
		ts.Fatalf("refresh: %d %s", got.status, got.body)
	}
	s.tokens[args[1]] = token
}

func logoutCmd(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptedOf(ts)
	if got := s.call("POST", "/api/v1/auth/logout", s.tokens[args[0]], ""); got.status != 200 {
		ts.Fatalf("logout: %d %s", got.status, got.body)
	}
}

// mintCmd signs a token as the existing backend does: mint NAME SUB OPENID. A sub in quotes stays a string.
func mintCmd(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptedOf(ts)
	now := time.Now()
	s.tokens[args[0]] = signedByBackend(fmt.Sprintf(`{"sub":%s,"openid":%q,"iat":%d,"exp":%d}`,
		args[1], args[2], now.Unix(), now.Add(time.Hour).Unix()))
}

// signedByBackend is a token of the existing backend.
func signedByBackend(payload string) string {
	return signedAs(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)), payload)
}
