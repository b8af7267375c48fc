package credential_test

import (
	"slices"
	"strings"
	"testing"

	"wxgate/gateway/credential"
	"wxgate/gateway/header"
	"wxgate/message"
)

func TestAPlaceIsAHeaderACookieOrASubprotocol(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"Authorization": "header Authorization", "X-Litemall-Token": "header X-Litemall-Token", "token": "header token",
		"cookie:token": "cookie token", "subprotocol:bearer": "subprotocol bearer",
		"": "", "cookie:": "", "query:token": "", "Cookie:token": "", "a b": "", "cookie:a=b": "", "令牌": "", "header:token": "", strings.Repeat("x", 65): "",
	} {
		got, err := credential.ParsePlace(entry)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: got %v, %v; want %q", entry, got, err, want)
		}
	}
}

func TestOnlyTheExactNameOfAHeaderIsAPlace(t *testing.T) {
	t.Parallel()
	p := credential.NewPlaces([]string{"Authorization", "X-Token", "subprotocol:bearer"})
	for name, want := range map[string]header.Class{
		"X-Token": header.ClassToken, "x-TOKEN": header.ClassToken, "authorization": header.ClassToken,
		"X_Token": header.ClassIdentity, "x.token": header.ClassIdentity, "X-Tokens": 0, "X-User-Id": 0,
		"Sec-WebSocket-Protocol": header.ClassSubprotocols, "Sec_Websocket_Protocol": header.ClassSubprotocols,
	} {
		if got := p.ClassOf([]byte(name)); got != want {
			t.Errorf("%s: got %b, want %b", name, got, want)
		}
	}
	if p.AuthorizationAlone() || !credential.NewPlaces([]string{"authorization"}).AuthorizationAlone() {
		t.Error("Authorization alone is not told from more places")
	}
}

func TestParametersAreCutHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]struct{ cut, values string }{
		"/a":                              {"/a", ""},
		"/a?":                             {"/a?", ""},
		"/a?b=1&c=%20":                    {"/a?b=1&c=%20", ""},
		"/a?token=x":                      {"/a", "x"},
		"/a?token=x&b=1":                  {"/a?b=1", "x"},
		"/a?b=1&token=x&c":                {"/a?b=1&c", "x"},
		"/a?%74oken=x&b=%zz&token=%2e":    {"/a?b=%zz", "x|."},
		"/a?token":                        {"/a", ""},
		"/a?Token=x&tokens=y&token[]=z&&": {"/a?Token=x&tokens=y&token[]=z&&", ""},
		"/a?token=%zz":                    {"/a", "%zz"},
		"/a?%zz=1":                        {"/a?%zz=1", ""},
	} {
		var values []string
		credential.EachParameter([]byte(target), "token", func(p credential.Place, text string) {
			if p.String() != "query token" {
				t.Errorf("%s: the place is %s", target, p)
			}
			values = append(values, text)
		})
		got := string(credential.CutParameters([]byte(target), "token"))
		if got != want.cut || strings.Join(values, "|") != want.values {
			t.Errorf("%s: got %s and %q, want %s and %q", target, got, values, want.cut, want.values)
		}
	}
}

// fields are classified lines: "Name: value".
func fields(p *credential.Places, lines ...string) *message.Fields {
	f := new(message.Fields)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		f.Add(name, value)
	}
	f.Classify(func(name []byte) uint32 { return header.ClassOf(name) | p.ClassOf(name) })
	return f
}

func TestASubprotocolStandsBeforeItsToken(t *testing.T) {
	t.Parallel()
	p := credential.NewPlaces([]string{"subprotocol:bearer"})
	for _, row := range []struct {
		lines                 []string
		tokens, offer, marker string
	}{
		{[]string{"bearer, x"}, "x", "", "bearer"},
		{[]string{"chat, bearer, x, v2"}, "x", "chat, v2", "bearer"},
		{[]string{"chat,bearer", "x , v2"}, "x", "chat, v2", "bearer"},
		{[]string{"chat, v2"}, "", "chat, v2", ""},
		{[]string{"chat, bearer"}, "", "chat", "bearer"},
		{[]string{"bearer, bearer"}, "bearer", "", "bearer"},
		{[]string{"Bearer, x"}, "", "Bearer, x", ""},
		{[]string{"bearer, x, bearer, y"}, "x|y", "", "bearer"},
		{[]string{",, bearer,, x"}, "x", "", "bearer"},
	} {
		f := new(message.Fields)
		for _, line := range row.lines {
			f.Add("Sec-WebSocket-Protocol", line)
		}
		f.Classify(p.ClassOf)
		var tokens []string
		p.Subprotocols(f, func(_ credential.Place, text string) {
			if text != "" {
				tokens = append(tokens, text)
			}
		})
		offer, marker := p.AppendSubprotocols([]byte("|"), f)
		if strings.Join(tokens, "|") != row.tokens || string(offer) != "|"+row.offer || marker != row.marker {
			t.Errorf("%q: got %q, %q and %q", row.lines, tokens, offer, marker)
		}
	}
}

func TestCookiesAndHeadersOfTheListAreRead(t *testing.T) {
	t.Parallel()
	p := credential.NewPlaces([]string{"token", "cookie:sid"})
	f := fields(p, "Token: a", "Cookie: x=1; sid=b", "cookie: sid = c;SID=d; sid", "X-Token: e")
	var got []string
	visit := func(place credential.Place, text string) { got = append(got, place.String()+"="+text) }
	p.Headers(f, visit)
	p.EachCookie(f, visit)
	if want := []string{"header Token=a", "cookie sid=b", "cookie sid=c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if kept := string(header.AppendCookies(nil, f, p.Cookies())); kept != "x=1; SID=d" {
		t.Errorf("without the token the cookies are %q", kept)
	}
}

func TestTheSameTokenCountsOnceAndDifferentOnesAreNobodys(t *testing.T) {
	t.Parallel()
	const jwt, other = "e30.bb.cc", "e30.bb.cd" // {} and more
	for _, row := range []struct {
		texts     []string
		want      string
		different bool
	}{
		{nil, "", false},
		{[]string{"", "Bearer ", "null", "Bearer undefined"}, "", false},
		{[]string{"", jwt, "Bearer"}, jwt, false},
		{[]string{"Bearer " + jwt, jwt, "bearer  " + jwt}, "Bearer " + jwt, false},
		{[]string{"bearer" + jwt, "JWT " + jwt, "Token " + jwt, jwt}, "bearer" + jwt, false},
		{[]string{"JWT " + jwt, "JWT " + other}, "JWT " + jwt + ", JWT " + other, true},
		{[]string{jwt, other}, jwt + ", " + other, true},
		{[]string{jwt, "Basic x"}, jwt + ", Basic x", true},
		{[]string{"x", "x"}, "x", false},
	} {
		var f credential.Found
		for _, text := range row.texts {
			f.Add(text)
		}
		if got := f.Credential(); got != row.want || f.Different != row.different {
			t.Errorf("%q: got %q, different %v", row.texts, got, f.Different)
		}
	}
}
