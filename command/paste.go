package command

import (
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"wxgate/gateway"
)

// call is a request for somebody to paste.
type call struct {
	method string // empty: GET
	host   string // empty: any
	path   string
	remark string // appended to the comment above the line
}

// curlLines returns three commands to paste: a login, a call with its token, and the same call with a forged identity.
// The answer to the login is kept in a file, so that the next command finds the token in any terminal.
func curlLines(address, dir string, c call) string {
	login := quoteForShell(filepath.Join(dir, "login.json"))
	target := c.flags() + quoteForShell("http://"+address+c.path)
	return fmt.Sprintf(`# 1. log in, as a mini-program does with the code of wx.login
curl -sS -w '\n' http://%s/api/v1/auth/wx-login -H 'Content-Type: application/json' -d '{"code":"demo-alice","nickName":"小爱"}' | tee %s

# 2. call the service through the gateway: it learns who is calling%s
curl -sS -w '\n' %s -H "Authorization: Bearer $(sed 's/.*"access_token":"\([^"]*\)".*/\1/' %[2]s)"

# 3. the same with a forged identity and no token: the gateway removes the header
curl -sS -w '\n' -i %[4]s -H 'X-User-Id: 1'

`, address, login, c.remark, target)
}

// rehearsalLines says how to log in as others, and how to make the sandbox fail and recover.
func rehearsalLines(weChat string) string {
	return fmt.Sprintf(`Other people: the codes demo-bob, demo-carol, or demo-bob-1, demo-bob-2, … for a new code each time.
Bad days: the sandbox WeChat fails as you tell it, until you end it; then log in with a new code each time.

curl -sS -w '\n' %[1]s/sandbox/fail -d '{"api":"jscode2session","rate":0.5,"kinds":["timeout","45011"]}'
curl -sS -w '\n' %[1]s/sandbox/reset -X POST
`, weChat)
}

// quoteForShell quotes a text so that a shell takes it as one word.
func quoteForShell(text string) string {
	if regexp.MustCompile(`^[A-Za-z0-9/.:_~-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// flags returns what curl needs besides the URL.
func (c call) flags() string {
	flags := ""
	if c.method != "" && c.method != http.MethodGet {
		flags += "-X " + c.method + " "
	}
	if c.host != "" {
		flags += "-H " + quoteForShell("Host: "+strings.Replace(c.host, "*", "any", 1)) + " "
	}
	return flags
}

// callOf returns a request for one of the routes, preferably one that requires a token and takes a GET.
func callOf(routes []gateway.RouteConfig) call {
	best := slices.MinFunc(routes, func(a, b gateway.RouteConfig) int {
		return cmp.Compare(demerits(a), demerits(b))
	})
	c := call{host: best.Host, path: examplePath(best.Path), remark: " (write a path that it has)"}
	if len(best.Methods) > 0 && !slices.Contains(best.Methods, http.MethodGet) {
		c.method = best.Methods[0]
	}
	return c
}

// demerits says how badly a route demonstrates that the service learns who is calling.
func demerits(r gateway.RouteConfig) int {
	badness := map[gateway.AuthMode]int{gateway.AuthRequired: 0, gateway.AuthOptional: 1, gateway.AuthNone: 4, gateway.AuthPrefetch: 8}[r.Auth]
	if r.Upstream == "" {
		badness += 16
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, http.MethodGet) {
		badness += 2
	}
	if r.Host != "" {
		badness++
	}
	return badness
}

// examplePath returns a path that matches a pattern.
func examplePath(pattern string) string {
	return strings.Replace(regexp.MustCompile(`:[^/]+`).ReplaceAllString(pattern, "1"), "**", "hello", 1)
}
