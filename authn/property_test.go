package authn

import (
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"wxgate/authn/token"

	"pgregory.net/rapid"
)

// modelToken is what the simple model knows of a token that was handed out.
type modelToken struct {
	person  string
	session int // index into model.ended
	issued  time.Time
	dies    time.Time // its exp and leeway
	goes    time.Time // the end of its grace; zero: it is current
}

// model says what every token should come to: the rules of sessions without any of their machinery.
type model struct {
	tokens []modelToken
	ended  []bool
	banned map[string]time.Time
}

func (m *model) verdict(t modelToken, now time.Time) error {
	switch {
	case !now.Before(t.dies):
		return token.ErrExpired
	case m.ended[t.session], now.Before(m.banned[t.person]), !t.goes.IsZero() && !now.Before(t.goes):
		return token.ErrRevoked
	}
	return nil
}

// TestVerdictsAgreeWithASimpleModel does what users, attackers and operators do in any order and compares every verdict
// on every token after every step.
func TestVerdictsAgreeWithASimpleModel(t *testing.T) {
	t.Parallel()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("40") // every one opens a real store; -rapid.checks=1000 for a long look
	}
	rapid.Check(t, func(r *rapid.T) {
		f := newFixture(t)
		m := &model{banned: map[string]time.Time{}}
		var tokens []string
		people := map[string]int64{}
		pick := func() int { return rapid.IntRange(0, len(tokens)-1).Draw(r, "token") }
		steps := rapid.IntRange(5, 25).Draw(r, "steps")
		for range steps {
			action := rapid.SampledFrom([]string{"login", "login", "refresh", "refresh", "logout", "logout all", "ban", "lift", "restart", "clock"}).Draw(r, "action")
			if len(tokens) == 0 {
				action = "login"
			}
			now := f.clock.Now()
			switch action {
			case "login":
				person := rapid.SampledFrom([]string{"alice", "bob"}).Draw(r, "person")
				grant, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode(person)})
				if banned := now.Before(m.banned[person]); banned != errors.Is(err, ErrUserBanned) || !banned && err != nil {
					r.Fatalf("login of %s: %v, banned: %v", person, err, banned)
				}
				if err == nil {
					people[person] = grant.User.ID
					tokens = append(tokens, grant.Token)
					m.ended = append(m.ended, false)
					m.tokens = append(m.tokens, modelToken{person, len(m.ended) - 1, now, now.Add(f.cfg.TokenTTL + f.cfg.Leeway), time.Time{}})
				}
			case "refresh":
				i := pick()
				m.refresh(r, f, i, &tokens)
			case "logout":
				i := pick()
				if err := f.Sessions.Logout(t.Context(), f.subjectOf(t, tokens[i])); err != nil {
					r.Fatal(err)
				}
				m.ended[m.tokens[i].session] = true
			case "logout all":
				i := pick()
				if err := f.Sessions.LogoutAll(t.Context(), f.subjectOf(t, tokens[i])); err != nil {
					r.Fatal(err)
				}
				for _, tok := range m.tokens {
					if tok.person == m.tokens[i].person {
						m.ended[tok.session] = true
					}
				}
			case "ban", "lift":
				person := m.tokens[pick()].person
				until := now.Add(time.Duration(rapid.IntRange(1, 72).Draw(r, "hours")) * time.Hour)
				if action == "lift" {
					until = time.Time{}
				}
				if err := f.Users.Ban(t.Context(), people[person], until); err != nil {
					r.Fatal(err)
				}
				m.banned[person] = until
			case "restart":
				f.restart()
			case "clock":
				f.clock.move(rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, time.Minute, time.Hour, 50 * time.Hour, 170 * time.Hour}).Draw(r, "by"))
			}
			m.compare(r, f, tokens, action)
		}
	})
}

// refresh presents a token and checks that the answer is what the rules say.
func (m *model) refresh(r *rapid.T, f *fixture, i int, tokens *[]string) {
	now, tok := f.clock.Now(), m.tokens[i]
	grant, err := f.Refresh(r.Context(), (*tokens)[i])
	late := !now.Before(tok.dies.Add(f.cfg.Refresh.Window))
	switch {
	case late:
		wantError(r, "a refresh after the window", err, token.ErrExpired)
	case m.ended[tok.session], now.Before(m.banned[tok.person]):
		wantError(r, "a refresh of an ended session", err, token.ErrRevoked)
	case !tok.goes.IsZero() && (!now.Before(tok.goes) || !m.previous(i)):
		wantError(r, "a refresh with a replaced token", err, token.ErrReused)
		m.ended[tok.session] = true
	case err != nil:
		r.Fatalf("refresh: %v", err)
	case now.Sub(tok.issued) < time.Minute:
		if grant.Token != (*tokens)[i] {
			r.Fatal("a refresh of a token younger than a minute gave another token")
		}
	case tok.goes.IsZero():
		m.tokens[i].goes = now.Add(f.cfg.Refresh.Grace)
		*tokens = append(*tokens, grant.Token)
		m.tokens = append(m.tokens, modelToken{tok.person, tok.session, now, now.Add(f.cfg.TokenTTL + f.cfg.Leeway), time.Time{}})
	default:
		if current := (*tokens)[m.current(tok.session)]; grant.Token != current {
			r.Fatal("a refresh within the grace gave a token that is not the current one")
		}
	}
}

// previous reports whether token i is the one that the current token of its session replaced.
func (m *model) previous(i int) bool {
	for j := m.current(m.tokens[i].session) - 1; j >= 0; j-- {
		if m.tokens[j].session == m.tokens[i].session {
			return i == j
		}
	}
	return false
}

func (m *model) current(session int) int {
	for i := len(m.tokens) - 1; i >= 0; i-- {
		if m.tokens[i].session == session {
			return i
		}
	}
	panic(fmt.Sprint("no token of session ", session))
}

func wantError(r *rapid.T, what string, got, want error) {
	r.Helper()
	if !errors.Is(got, want) {
		r.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// compare judges every token as a request would.
func (m *model) compare(r *rapid.T, f *fixture, tokens []string, after string) {
	now := f.clock.Now()
	for i, tok := range m.tokens {
		if got, want := f.verdict(tokens[i]), m.verdict(tok, now); !errors.Is(got, want) {
			r.Fatalf("after %s, token %d of %s: %v, want %v", after, i, tok.person, got, want)
		}
	}
}
