package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/admin"
	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

func TestALongListOfSessionsComesInPages(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	token := ""
	for range 8 {
		token = o.login(t, "alice").Token
	}
	var public, operators []string
	target := "/api/v1/auth/sessions?limit=3"
	for pages := 0; target != ""; pages++ {
		resp, body := o.send(t, head("GET "+target, token))
		var list struct{ Data []struct{ ID string } }
		if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != 200 || len(list.Data) > 3 || pages > 3 {
			t.Fatalf("%s: %d %s, %v; want a page of 3 at most", target, resp.StatusCode, body, err)
		}
		for _, s := range list.Data {
			public = append(public, s.ID)
		}
		target = ""
		if link := resp.Header.Get("Link"); link != "" {
			target, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		}
	}
	query := "limit=3"
	for query != "" {
		var list admin.SessionList
		got := o.want(t, "GET /api/users/1/sessions?"+query, "", 200, "")
		if err := json.Unmarshal(got.json.Data, &list); err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Sessions {
			operators = append(operators, s.ID)
		}
		query = ""
		if list.Next != nil {
			query = "limit=3&after=" + url.QueryEscape(*list.Next)
		}
	}
	if len(public) != 8 || len(slices.Compact(slices.Sorted(slices.Values(public)))) != 8 || !slices.Equal(public, operators) {
		t.Errorf("the pages hold %v and, for the operator, %v; want the same 8, each once", public, operators)
	}
	for _, bad := range []string{"limit=0", "limit=101", "limit=x", "after=x", "after=1.", "after=x.y", "after=1." + strings.Repeat("a", 65)} {
		if resp, _ := o.send(t, head("GET /api/v1/auth/sessions?"+bad, token)); resp.StatusCode != 400 {
			t.Errorf("%s: got %d, want 400", bad, resp.StatusCode)
		}
	}
}

func TestAUsersWritesShareABucket(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, func(cfg *Config) {
		cfg.Limits.Writes = limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 3}
	})
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	put := func(token string) string {
		const body = `{"bio":"b"}`
		return head("PUT /api/v1/user/profile", token, "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body))) + body
	}
	for _, row := range []struct{ what, request, want string }{
		{"alice's profile", put(alice), "200 200"},
		{"a session that is not there", head("DELETE /api/v1/auth/sessions/x", alice), "404 429"},
		{"her profile again", put(alice), "429"},
		{"her logout", head("POST /api/v1/auth/logout", alice, "Content-Length: 0"), "429"},
		{"a refresh that writes nothing", head("POST /api/v1/auth/refresh", alice, "Content-Length: 0"), "200 200"},
		{"what only reads", head("GET /api/v1/user/profile", alice), "200 200"},
		{"bob's profile", put(bob), "200 200 200 429"},
	} {
		if got := e.statuses(t, len(strings.Fields(row.want)), row.request); got != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
	}
	if err := (callLimits{e.limits, &Exchange{snapshot: e.snapshot.Load(), route: &routeEntry{pattern: "/api/v1/auth/refresh"}}}).Write(1); e.observer.failures.Lookup(err).Reason != "rate_limited" {
		t.Errorf("a refresh of alice's that writes: %v, want rate_limited", err)
	}
}

func TestAUserWhoRefreshesAllTheTimeChangesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	token := e.token(t, "alice")
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for i := range 500 {
		if _, err := io.WriteString(conn, head("POST /api/v1/auth/refresh", token, "Content-Length: 0")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Data struct {
				Token string `json:"access_token"`
			}
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_, _ = io.Copy(io.Discard, resp.Body)
		if err != nil || resp.StatusCode != 200 || answer.Data.Token != token {
			t.Fatalf("refresh %d: got %d and another token: %t, %v; want 200 with the same", i, resp.StatusCode, answer.Data.Token != token, err)
		}
	}
}
