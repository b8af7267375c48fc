package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"wxgate/authn/token"
	"wxgate/gateway/header"
	"wxgate/message"
	"wxgate/upstream/upstreamtest"
)

// TestAGuestsEmptyBearerIsNobody: request wrappers write "Bearer " before whatever their storage holds, also for guests.
func TestAGuestsEmptyBearerIsNobody(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for value, want := range map[string]struct {
		optional int
		reason   string // on a required route, and at refresh
	}{
		"Bearer ":          {200, "token_missing"},
		"Bearer":           {200, "token_missing"},
		"bearer":           {200, "token_missing"},
		"Bearer null":      {200, "token_missing"},
		"Bearer undefined": {200, "token_missing"},
		"undefined":        {200, "token_missing"},
		"":                 {200, "token_missing"},
		"Bearer x":         {401, "token_malformed"},
		"Bearer xy":        {401, "token_malformed"},
		"Bearer a b":       {401, "token_malformed"},
		"Basic x":          {401, "token_malformed"},
		"eyJh.eyJz.c2ln":   {401, "token_malformed"},
	} {
		before := len(service.Requests())
		resp, body := e.send(t, head("GET /optional/x", "", "Authorization: "+value))
		if resp.StatusCode != want.optional {
			t.Errorf("%q on an optional route: %d %s, want %d", value, resp.StatusCode, body, want.optional)
		}
		for _, req := range service.Requests()[before:] {
			if got := req.Field("X-User-Id"); got != "" {
				t.Errorf("%q on an optional route is user %q", value, got)
			}
		}
		for _, line := range []string{"GET /private/x", "POST /api/v1/auth/refresh", "GET /api/v1/auth/sessions"} {
			resp, body = e.send(t, head(line, "", "Content-Length: 0", "Authorization: "+value))
			if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"reason":"`+want.reason+`"`) {
				t.Errorf("%q, %s: %d %s, want 401 %s", value, line, resp.StatusCode, body, want.reason)
			}
		}
	}
}

// TestBlanksOfEveryKindAroundATokenAreOneToken is the attack on the token cache, on a socket.
func TestBlanksOfEveryKindAroundATokenAreOneToken(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	token := e.token(t, "alice")
	for value, want := range map[string]int{
		"Bearer %s":          200,
		"Bearer      %s":     200,
		"Bearer %s   \t":     200, // white space behind a value is not a part of it (RFC 9110 §5.5)
		"Bearer\t%s":         401,
		"Bearer \t%s":        401,
		"Bearer \u0085%s":    401,
		"Bearer %s\u0085":    401,
		"Bearer %s\u00a0":    401,
		"Bearer \xa0%s\xa0":  401,
		"Bearer \u3000%s":    401,
		"Bearer %s ,":        401,
		"Bearer \u2028 \t%s": 401,
	} {
		resp, body := e.send(t, head("GET /private/x", "", "Authorization: "+fmt.Sprintf(value, token)))
		if resp.StatusCode != want || want == http.StatusUnauthorized && !strings.Contains(body, "token_malformed") {
			t.Errorf("%q: %d %s, want %d", value, resp.StatusCode, body, want)
		}
	}
}

// TestASecondAuthorizationLineIsNobodysToken: the service could read the other one.
func TestASecondAuthorizationLineIsNobodysToken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ first, second, want string }{
		{"Bearer abc", "Bearer abc", "Bearer abc, Bearer abc"},
		{"Bearer ", "Bearer ", "Bearer , Bearer "},
		{"", "", ", "},
	} {
		var h message.Fields
		h.Add("Authorization", row.first)
		h.Add("Authorization", row.second)
		if got := header.Authorization(&h); got != row.want || !token.HasCredentials(got) {
			t.Errorf("%q and %q: got %q, want %q, which is an attempt to say who it is from", row.first, row.second, got, row.want)
		}
	}
}
