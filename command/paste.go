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
	"wxgate/gateway/credential"
)

// call is a request for somebody to paste.
type call struct {
	method string // empty: GET
	host   string // empty: any
	path   string
	remark string // appended to the comment above the line
}

// curlLines returns three commands to paste: a login, a call with its token, and the same call with a forged identity; where
// nobody can log in, the last alone. The answer to the login is kept in a file, so that the next command finds the token
// in any terminal.
func curlLines(address, dir string, cfg gateway.Config, c call) string {
	answer, token := loginAnswer(dir)
	target := c.flags() + quoteForShell("http://"+address+c.path)
	var lines strings.Builder
	if method, path, ok := cfg.Login(); ok {
		flags, how := tokenFlags(cfg.TokenFrom, c.method, token)
		fmt.Fprintf(&lines, "# 1. log in, as a mini-program does with the code of wx.login\n"+`curl -sS -w '\n' %s | tee %s`+"\n\n",
			loginRequest(method, "http://"+address+path), answer)
		fmt.Fprintf(&lines, "# 2. call the service through the gateway: it learns who is calling%s%s\n"+`curl -sS -w '\n' %s %s`+"\n\n", how, c.remark, target, flags)
	} else {
		lines.WriteString("# 1. and 2. are missing: endpoints.login is off or a route takes its path, so nobody can log in with a code here\n\n")
	}
	fmt.Fprintf(&lines, "# 3. the same with a forged identity and no token: the gateway removes the header\n"+`curl -sS -w '\n' -i %s -H 'X-User-Id: 1'`+"\n\n", target)
	return lines.String()
}

// loginAnswer returns the file, quoted, that the answer to the login is kept in, and what prints its token in a shell.
func loginAnswer(dir string) (file, token string) {
	file = quoteForShell(filepath.Join(dir, "login.json"))
	return file, fmt.Sprintf("$(grep -o '%s' %s | head -n 1)", tokenPattern, file)
}

// saleLines returns three commands to paste after the login: a recipe is paid on the phone of the sandbox, read, and given
// back.
func saleLines(address, dir, weChat string) string {
	_, token := loginAnswer(dir)
	return fmt.Sprintf(`# 4. buy a recipe: its service names the price, the gateway signs, the phone pays, and WeChat's push lets the service deliver
curl -sS http://%[1]s/api/v1/pay/virtual/sign -H 'Content-Type: application/json' -d '{"order":{"recipe":4}}' -H "Authorization: Bearer %[2]s" `+
		`| sed 's|.*"data":{\(.*\)},"timestamp.*|{"person":"alice","push":"http://%[1]s/wechat/push",\1}|' | curl -sS -w '\n' %[3]s/sandbox/virtual-pay -d @-

# 5. read it: the steps are there, and "bought"
curl -sS -w '\n' http://%[1]s/api/v1/recipes/4 -H "Authorization: Bearer %[2]s"

# 6. give it back: the service asks WeChat for a refund, signed by the gateway, and takes the recipe back at WeChat's push
curl -sS -w '\n' -X POST http://%[1]s/api/v1/recipes/4/refund -H "Authorization: Bearer %[2]s"

`, address, token, weChat)
}

// deletionLines returns two commands to paste after the login: the account is deleted, and the service shows what it was told.
func deletionLines(address, dir, service string) string {
	_, token := loginAnswer(dir)
	return fmt.Sprintf(`# 7. delete the account, within five minutes of the login; the token is refused from now on
curl -sS -w '\n' -X DELETE http://%[1]s/api/v1/user -H "Authorization: Bearer %[2]s"

# 8. ask the recipe service itself, past the gateway, what it was told of users
curl -sS -w '\n' %[3]s/internal/users

`, address, token, service)
}

// tokenPattern is a JSON Web Token, as grep finds it in an answer of any shape.
const tokenPattern = `eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*`

// loginRequest is what curl needs for a login: a body, or the query of a GET.
func loginRequest(method, url string) string {
	if method == http.MethodGet {
		return "-G " + quoteForShell(url) + " --data-urlencode code=demo-alice --data-urlencode nickName=小爱"
	}
	return quoteForShell(url) + ` -H 'Content-Type: application/json' -d '{"code":"demo-alice","nickName":"小爱"}'`
}

// tokenFlags says how curl sends a token, text for a shell, in the first of the places that a plain request has; a
// subprotocol needs the opening of a WebSocket. how ends the sentence that describes the request.
func tokenFlags(places []string, method, text string) (flags, how string) {
	first, _ := credential.ParsePlace(places[0]) // both are valid
	for _, entry := range places {
		if p, _ := credential.ParsePlace(entry); p.Kind != credential.Subprotocol {
			first = p
			break
		}
	}
	switch {
	case first.Kind == credential.Subprotocol:
		return fmt.Sprintf(`-i -N --http1.1 --max-time 5 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' `+
				`-H 'Sec-WebSocket-Key: d3hnYXRlIHNhbmRib3ghIQ==' -H "Sec-WebSocket-Protocol: %s, %s"`, first.Name, text),
			fmt.Sprintf(" (it opens a WebSocket: authn.token_from has the token behind the subprotocol %s alone)", first.Name)
	case first.Kind == credential.Cookie:
		flags := fmt.Sprintf(`-H "Cookie: %s=%s"`, first.Name, text)
		if method != "" && method != http.MethodGet {
			flags += " -H 'Sec-Fetch-Site: same-origin'" // else the cookie does not count
		}
		return flags, ""
	case strings.EqualFold(first.Name, "Authorization"):
		return fmt.Sprintf(`-H "Authorization: Bearer %s"`, text), ""
	}
	return fmt.Sprintf(`-H "%s: %s"`, first.Name, text), ""
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
	c := call{host: best.Host, path: best.ExamplePath("hello"), remark: " (write a path that it has)"}
	if best.Issuer != "" {
		c.remark = fmt.Sprintf(" (it is refused: the route takes the tokens of the issuer %s alone)", best.Issuer)
	}
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
	if r.Issuer != "" {
		badness += 3 // it refuses the token of a login
	}
	return badness
}
