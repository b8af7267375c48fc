package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"wxgate/storage"
)

// HistoryEnd is when everything happened that WriteHistory writes.
func HistoryEnd() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

// historyUsers log in three times each; one more is imported.
const historyUsers, importedUser = 6, 100

const historyApp = "wx1111111111111111"

func historySession(user, n int) string { return fmt.Sprintf("history-%d-%d", user, n) }

func historyKey(user, n int) string { return fmt.Sprintf("key-%d-%d", user, n) }

// WriteHistory writes something of everything into an empty store whose clock says HistoryEnd. The stores of later versions
// must find it: WantHistory.
func WriteHistory(t *testing.T, s *storage.Store) {
	t.Helper()
	end := HistoryEnd()
	for user := 1; user <= historyUsers; user++ {
		for n := range 3 {
			at := end.Add(time.Duration(n-3) * time.Minute)
			in, err := s.Login(t.Context(), storage.Login{
				AppID: historyApp, OpenID: fmt.Sprint("o", user), UnionID: fmt.Sprint("u", user%3), SessionKey: storage.SessionKey{Key: historyKey(user, n), At: at},
				Change: func(u *storage.User) error { u.Nickname = fmt.Sprint("小爱 😀 ", user); return nil },
				Session: storage.Session{
					ID: historySession(user, n), TokenID: fmt.Sprint("token-", user, "-", n), Device: "iPhone",
					CreatedAt: at, RefreshedAt: at, ExpiresAt: end.Add(7 * 24 * time.Hour),
				},
			})
			if err != nil || in.User.ID != int64(user) {
				t.Fatalf("user %d logs in as %d: %v", user, in.User.ID, err)
			}
		}
	}
	until := end.Add(7 * 24 * time.Hour)
	_, banned := s.Revoke(t.Context(), storage.Revocation{Scope: storage.ScopeUser, ID: "2", From: end, Until: end.Add(72 * time.Hour)})
	_, ended := s.EndSession(t.Context(), historySession(1, 0), end, until)
	_, allEnded := s.EndSessions(t.Context(), 3, end, until)
	_, erased := s.EraseUser(t.Context(), 4, end, until)
	_, imported := s.ImportUsers(t.Context(), []storage.User{{ID: importedUser, AppID: historyApp, OpenID: "o100", Bio: "做饭", RecipeCount: 7}})
	err := errors.Join(banned, ended, allEnded, erased, imported, s.SetPhone(t.Context(), 1, storage.Phone{Number: "13800000000", PureNumber: "13800000000", CountryCode: "86"}),
		s.SaveServerToken(t.Context(), historyApp, "server-token", until))
	if err != nil {
		t.Fatal(err)
	}
}

// WantHistory checks what WriteHistory has written, by whichever version, and that life goes on behind it.
func WantHistory(t *testing.T, s *storage.Store) {
	t.Helper()
	for user := 1; user <= historyUsers; user++ {
		wantHistoryUser(t, s, user)
	}
	u, err := s.User(t.Context(), importedUser)
	if err != nil || u.OpenID != "o100" || u.Bio != "做饭" || u.RecipeCount != 7 || u.Native {
		t.Errorf("the imported user: %+v, %v", u, err)
	}
	found, err := s.Revocations(t.Context(), 0, 1000)
	counts := map[storage.Scope]int{}
	for _, r := range found {
		counts[r.Scope]++
		if r.Scope == storage.ScopeUser && r.ID == "2" && !r.Until.Equal(HistoryEnd().Add(72*time.Hour)) {
			t.Errorf("the ban ends at %v", r.Until)
		}
	}
	if err != nil || counts[storage.ScopeSession] != 1+3+3 || counts[storage.ScopeUser] != 2 {
		t.Errorf("revocations: %v, %v; want those of 7 sessions and 2 users", counts, err)
	}
	if phone, err := s.Phone(t.Context(), 1); err != nil || phone.Number != "13800000000" {
		t.Errorf("the phone: %v, %v", phone, err)
	}
	if token, _, err := s.ServerToken(t.Context(), historyApp); err != nil || token != "server-token" {
		t.Errorf("the server token: %q, %v", token, err)
	}
	in, err := s.Login(t.Context(), storage.Login{AppID: historyApp, OpenID: "new"})
	if err != nil || in.User.ID != importedUser+1 {
		t.Errorf("a new user is %d, %v; want %d", in.User.ID, err, importedUser+1)
	}
}

func wantHistoryUser(t *testing.T, s *storage.Store, user int) {
	t.Helper()
	u, err := s.UserByOpenID(t.Context(), historyApp, fmt.Sprint("o", user))
	keys, keysErr := s.SessionKeys(t.Context(), int64(user))
	if user == 4 {
		if !errors.Is(err, storage.ErrNotFound) || !errors.Is(keysErr, storage.ErrNotFound) {
			t.Errorf("the erased user: %v, %v", err, keysErr)
		}
		return
	}
	if err != nil || u.ID != int64(user) || u.Nickname != fmt.Sprint("小爱 😀 ", user) || u.UnionID != fmt.Sprint("u", user%3) || !u.CreatedAt.Equal(HistoryEnd()) || !u.Native {
		t.Errorf("user %d: %+v, %v", user, u, err)
	}
	if keysErr != nil || len(keys) != 3 || keys[0].Key != historyKey(user, 2) || keys[2].Key != historyKey(user, 0) {
		t.Errorf("the session_keys of user %d: %d, %v", user, len(keys), keysErr)
	}
	for n := range 3 {
		session, err := s.Session(t.Context(), historySession(user, n))
		if isOver := user == 3 || user == 1 && n == 0; isOver != errors.Is(err, storage.ErrNotFound) || !isOver && (err != nil || session.TokenID != fmt.Sprint("token-", user, "-", n)) {
			t.Errorf("session %d of user %d: %+v, %v; want it over: %t", n, user, session, err, isOver)
		}
	}
}
