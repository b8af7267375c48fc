package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/upstream/upstreamtest"
)

const pathUser = "/api/v1/user"

func TestUsersTakeWhatIsKnownOfThemAndGo(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), func(cfg *Config) { cfg.TokenFrom, cfg.SetCookie = append(cfg.TokenFrom, "cookie:session"), "session" })
	bob, alice, other := e.token(t, "bob"), e.token(t, "alice"), e.token(t, "alice")
	resp, body := e.send(t, head("GET "+pathUser+"/export", alice))
	var got struct {
		Data struct {
			User struct {
				ID            int64
				OpenID, AppID string
				UnionID       string
			}
			Phone    *struct{}
			Sessions []struct{ Current bool }
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 {
		t.Fatalf("export: %d %s", resp.StatusCode, body)
	}
	if d := got.Data; d.User.ID != 2 || d.User.OpenID == "" || d.User.AppID != testAppID || d.Phone != nil || len(d.Sessions) != 2 {
		t.Errorf("export of user 2 with two sessions: %s", body)
	}
	if strings.Contains(body, "session_key") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an export with a session_key, or one that caches may keep: %v %s", resp.Header, body)
	}
	for _, line := range []string{"DELETE " + pathUser, "GET " + pathUser + "/export"} {
		if resp, body := e.send(t, head(line, "")); resp.StatusCode != 401 {
			t.Errorf("%s without a token: %d %s", line, resp.StatusCode, body)
		}
	}
	resp, body = e.send(t, head("DELETE "+pathUser, alice))
	if resp.StatusCode != 200 || !strings.Contains(body, `"data":{"deletes_at":null}`) {
		t.Fatalf("deletion: %d %s", resp.StatusCode, body)
	}
	if set := resp.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "session=;") {
		t.Errorf("Set-Cookie %q, want an empty session", set)
	}
	for _, token := range []string{alice, other} {
		if resp, body := e.send(t, head("GET /api/v1/user/profile", token)); resp.StatusCode != 401 || !strings.Contains(body, "token_revoked") {
			t.Errorf("a token of hers: %d %s, want 401 token_revoked", resp.StatusCode, body)
		}
	}
	if resp, body := e.send(t, head("GET /api/v1/user/profile", bob)); resp.StatusCode != 200 {
		t.Errorf("bob: %d %s", resp.StatusCode, body)
	}
}

// TestAnExportHasWhatAccountsKeep: the record of a linked account keeps what was said through it before.
func TestAnExportHasWhatAccountsKeep(t *testing.T) {
	t.Parallel()
	var store *badger.Store
	e := newEdgeWith(t, upstreamtest.Echo(t).URL, nil, func(d *Deps) { store = d.Storage.(*badger.Store) })
	alice := e.token(t, "alice")
	other := storage.Login{AppID: "wx2", OpenID: "oOther", UnionID: "u", Change: func(u *storage.User) error {
		u.Nickname = "only there"
		return nil
	}}
	_, err := store.Login(t.Context(), other)
	if err == nil {
		err = store.SetPhone(t.Context(), 2, storage.Phone{Number: "13580006666"})
	}
	if err == nil {
		err = store.SetPhone(t.Context(), 1, storage.Phone{Number: "13580007777"})
	}
	if err == nil {
		_, err = store.UpdateUser(t.Context(), 1, func(u *storage.User) error {
			u.Nickname, u.UnionID = "alice", "u"
			return nil
		})
	}
	if other.Change, other.Link = nil, new(storage.Linking); err == nil {
		_, err = store.Login(t.Context(), other)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, body := e.send(t, head("GET "+pathUser+"/export", alice))
	for _, want := range []string{`"openid":"oOther"`, `"appid":"wx2"`, `"only there"`, "13580006666", "13580007777"} {
		if !strings.Contains(body, want) {
			t.Errorf("the export lacks %s: %s", want, body)
		}
	}
}
