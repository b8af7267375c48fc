package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger is what clients wrote down of what gateways acknowledged, and of what they were told that contradicts it.
type ledger struct {
	mu       sync.Mutex
	people   []*person        // in the order of their first login
	owners   map[int64]string // by id, also of erased users
	revoked  []revokedToken
	logins   []time.Time // when each was acknowledged
	refresh  int
	profiles int
	erasures int
	bans     int
	lost     []string // what was acknowledged and is not so
	twice    []string // ids of two people, and people with two ids
}

// person is somebody for whom one client acts, one request after the other.
type person struct {
	name     string
	openID   string
	id       int64 // 0: no login was acknowledged
	sessions []*device
	names    []string // the nickname that was acknowledged last, and those that were sent since
	banned   bool     // acknowledged
	unclear  bool     // a ban or an erasure was sent, and not acknowledged
}

// device is a session that was acknowledged and has not ended.
type device struct {
	sid, jti, token string
	refreshed       bool
}

// revokedToken is a token whose end was acknowledged.
type revokedToken struct {
	token, sid, why string
	at              time.Time
}

func newLedger() *ledger { return &ledger{owners: map[int64]string{}} }

// losing notes that something which was acknowledged is not so.
func (l *ledger) losing(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, fmt.Sprintf(format, args...))
}

// loggedIn writes a login down that was acknowledged.
func (l *ledger) loggedIn(p *person, id int64, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logins = append(l.logins, time.Now())
	if p.id != 0 && p.id != id {
		l.twice = append(l.twice, fmt.Sprintf("%s is user %d, and was %d", p.name, id, p.id))
	}
	if owner, given := l.owners[id]; given && owner != p.name {
		l.twice = append(l.twice, fmt.Sprintf("the id %d is of %s, and was of %s", id, p.name, owner))
	}
	p.id, l.owners[id] = id, p.name
	p.sessions = append(p.sessions, newDevice(token))
}

func (l *ledger) refreshed(d *device, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh++
	*d = *newDevice(token)
	d.refreshed = true
}

// ended writes down that sessions are over: from now on nobody may accept their tokens.
func (l *ledger) ended(why string, sessions ...*device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range sessions {
		l.revoked = append(l.revoked, revokedToken{token: d.token, sid: d.sid, why: why, at: time.Now()})
	}
}

// erased writes down that a user is no more: who comes back is somebody new.
func (l *ledger) erased(p *person) {
	l.ended("erasure", p.sessions...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erasures++
	l.owners[p.id] = "an erased user"
	p.id, p.sessions, p.names, p.banned = 0, nil, []string{""}, false
}

// count is how many of these were acknowledged.
func (l *ledger) count(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

// revocations are those at and behind a place in the list.
func (l *ledger) revocations(from int) []revokedToken {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.revoked[from:])
}

// everybody is all people, of whom nobody is in the midst of a request any more.
func (l *ledger) everybody() []*person {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.people)
}

// acknowledged is how many logins were.
func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.logins)
}

// compareTokens asks a gateway about everybody who is not banned: that writes nothing.
func (l *ledger) compareTokens(w *world) {
	l.compare(w, slices.DeleteFunc(l.everybody(), func(p *person) bool { return p.banned }), l.revocations(0))
}

// compare asks a gateway about people and about sessions that have ended.
func (l *ledger) compare(w *world, people []*person, ended []revokedToken) {
	const workers = 8
	var all sync.WaitGroup
	for first := range workers {
		all.Go(func() {
			for i := first; i < len(people); i += workers {
				l.comparePerson(w, people[i])
			}
			for i := first; i < len(ended); i += workers {
				got, err := w.try("GET", "/api/v1/user/profile", ended[i].token, "")
				if err != nil || got.status != http.StatusUnauthorized {
					l.losing("%v after a %s: %v %d %s", time.Since(ended[i].at), ended[i].why, err, got.status, got.body)
				}
			}
		})
	}
	all.Wait()
}

func (l *ledger) comparePerson(w *world, p *person) {
	if p.unclear {
		return
	}
	if p.banned {
		if _, got, err := w.tryLogin(p.name); err != nil || got.status != http.StatusForbidden {
			l.losing("%s, who is banned, logs in: %v %d %s", p.name, err, got.status, got.body)
		}
		return
	}
	for _, d := range p.sessions {
		got, err := w.try("GET", "/api/v1/user/profile", d.token, "")
		id, _ := got.data()["id"].(float64)
		nickname, _ := got.data()["nickname"].(string)
		if err != nil || got.status != http.StatusOK || int64(id) != p.id || !slices.Contains(p.names, nickname) {
			l.losing("a session of %s, user %d, one of %q: %v %d %s", p.name, p.id, p.names, err, got.status, got.body)
		}
	}
}

func newDevice(token string) *device {
	claims := claimsOf(token)
	sid, _ := claims["sid"].(string)
	jti, _ := claims["jti"].(string)
	return &device{sid: sid, jti: jti, token: token}
}

// claimsOf are those of a token, which the test trusts.
func claimsOf(token string) (claims map[string]any) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		text, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil {
			_ = json.Unmarshal(text, &claims) // what is no token has no claims
		}
	}
	return claims
}

// older is the token as it would be had it been issued two minutes earlier: a younger one is not replaced.
func older(token string) string {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	iat, _ := claimsOf(token)["iat"].(float64)
	aged := strings.Replace(string(payload), fmt.Sprintf(`"iat":%d`, int64(iat)), fmt.Sprintf(`"iat":%d`, int64(iat)-120), 1)
	return signedAs(parts[0], aged)
}

// signedAs is a token with that header and payload.
func signedAs(header, payload string) string {
	segment := base64.RawURLEncoding.EncodeToString
	signed := header + "." + segment([]byte(payload))
	mac := hmac.New(sha256.New, []byte(jwtSecret))
	mac.Write([]byte(signed))
	return signed + "." + segment(mac.Sum(nil))
}

// actor acts for people of its own, one request after the other, at gateways that it chooses.
type actor struct {
	*ledger
	name   string
	choose func() *world
	people []*person
	step   int
}

// act does the next thing.
func (a *actor) act() {
	a.step++
	if a.step%3 == 1 || len(a.people) == 0 {
		p := &person{name: fmt.Sprintf("%s-%d", a.name, a.step), names: []string{""}}
		a.mu.Lock()
		a.ledger.people = append(a.ledger.people, p)
		a.mu.Unlock()
		a.people = append(a.people, p)
		a.login(p)
		return
	}
	p := a.people[(a.step*7919)%len(a.people)]
	if p.unclear || p.banned {
		return
	}
	if a.step%3 == 2 || len(p.sessions) == 0 {
		a.login(p)
	} else {
		of := []func(*person){a.erase, a.refreshOne, a.logout, a.ban, a.logout, a.refreshOne, a.logout, a.rename}
		of[a.step/3%len(of)](p)
	}
	a.visit(p)
}

func (a *actor) login(p *person) {
	w := a.choose()
	id, got, err := w.tryLogin(p.name)
	token, _ := got.data()["access_token"].(string)
	switch {
	case err == nil && got.status == http.StatusOK && id > 0 && token != "":
		p.openID, _ = claimsOf(token)["openid"].(string)
		a.loggedIn(p, id, token)
	case err == nil && got.status == http.StatusForbidden:
		a.losing("%s is not banned, and is refused: %s", p.name, got.body)
	}
}

// visit sends a request with the token of a session.
func (a *actor) visit(p *person) {
	if len(p.sessions) == 0 || p.unclear || p.banned {
		return
	}
	got, err := a.choose().try("GET", "/api/v1/recipes", p.sessions[len(p.sessions)-1].token, "")
	if err == nil && got.status == http.StatusUnauthorized {
		a.losing("a session of %s (user %d) is refused: %s", p.name, p.id, got.body)
	}
}

func (a *actor) refreshOne(p *person) {
	d := p.sessions[len(p.sessions)-1]
	if d.refreshed { // a token that claims to be older than the refresh that made it is refused
		return
	}
	got, err := a.choose().try("POST", "/api/v1/auth/refresh", older(d.token), "")
	token, _ := got.data()["access_token"].(string)
	switch {
	case err == nil && got.status == http.StatusOK && token != "":
		a.refreshed(d, token)
	case err == nil && got.status == http.StatusUnauthorized:
		a.losing("a refresh of %s (user %d) is refused: %s", p.name, p.id, got.body)
	default: // replaced or not
		p.sessions = p.sessions[:len(p.sessions)-1]
	}
}

func (a *actor) logout(p *person) {
	d := p.sessions[len(p.sessions)-1]
	p.sessions = p.sessions[:len(p.sessions)-1] // also when it is not known whether it has ended
	got, err := a.choose().try("POST", "/api/v1/auth/logout", d.token, "")
	if err == nil && got.status == http.StatusOK {
		a.ended("logout", d)
	}
}

func (a *actor) rename(p *person) {
	name := fmt.Sprintf("n%d", a.step)
	p.names = append(p.names, name)
	got, err := a.choose().try("PUT", "/api/v1/user/profile", p.sessions[len(p.sessions)-1].token, fmt.Sprintf(`{"nickname":%q}`, name))
	if err == nil && got.status == http.StatusOK {
		p.names = []string{name}
		a.count(&a.profiles)
	}
}

// ban and erase are an operator's, and end every session of the person.
func (a *actor) ban(p *person) {
	if a.operate(p, "POST", "/ban", `{"for":"24h"}`) {
		p.banned = true
		a.count(&a.bans)
		a.ended("ban", p.sessions...)
		p.sessions = nil
	}
}

func (a *actor) erase(p *person) {
	if a.operate(p, "DELETE", "", "") {
		a.erased(p)
	}
}

// operate changes a user at an admin listener, and reports whether that was acknowledged.
func (a *actor) operate(p *person, method, path, body string) bool {
	w := *a.choose()
	process := *w.process
	process.url = process.admin
	w.process = &process
	got, err := w.try(method, fmt.Sprintf("/api/users/%d%s", p.id, path), "", body)
	p.unclear = err != nil || got.status != http.StatusOK
	if err == nil && got.status == http.StatusNotFound {
		a.losing("user %d of %s is not found", p.id, p.name)
	}
	return !p.unclear
}

// keepDoing does something again and again until stop is closed.
func keepDoing(stop <-chan struct{}, pause time.Duration, do func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			do()
		}
	}
}
