package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/secret"
)

// Scope is a part of the admin API that a service may use.
type Scope string

// The scopes of server.services[].may.
const (
	ScopeWeChat     Scope = "wechat"      // the broker, without what moves money and what is for the operator alone
	ScopeNotify     Scope = "notify"      // of the broker, only what sends a message to a person
	ScopeUsersRead  Scope = "users.read"  // users and their sessions
	ScopeUsersPhone Scope = "users.phone" // the phone number of a user
	ScopeUsersWrite Scope = "users.write" // bans, the end of sessions, erasure, import and export
	ScopeCounters   Scope = "counters"    // the counters of users
	ScopeSign       Scope = "sign"        // signatures by session_keys, and the calls of the broker that are signed: payments
)

// scopes lists every Scope.
func scopes() []Scope {
	return []Scope{ScopeWeChat, ScopeNotify, ScopeUsersRead, ScopeUsersPhone, ScopeUsersWrite, ScopeCounters, ScopeSign}
}

// Service is an entry of server.services: a service of the team with a token of its own.
type Service struct {
	Name  string      `yaml:"name"`  // in logs and metrics
	Token secret.Text `yaml:"token"` // its Bearer token for the admin listener
	May   []Scope     `yaml:"may"`   // the parts of the admin API that it may use
}

// Credentials say who may use the admin listener.
type Credentials struct {
	Operator secret.Text // server.admin_token; empty: being on this machine is the permission
	Services []Service   // each with a token other than all the others
}

// The bounds of server.services.
const (
	maxServices     = 100 // the tokens of all are compared with that of a request
	minServiceToken = 32  // bytes
)

// Validate reports the faults of services. Without server.admin_token every service of this machine would be the
// operator simply by sending no token.
func (c Credentials) Validate() (f input.Faults) {
	if len(c.Services) > 0 && c.Operator == "" {
		f.Add("services", "needs a server.admin_token: without one, whoever sends no token from this machine may do everything")
	}
	if len(c.Services) > maxServices {
		f.Add("services", "has %d services; %d are the most", len(c.Services), maxServices)
	}
	names, owners := map[string]bool{}, map[secret.Text]string{c.Operator: "server.admin_token"}
	for i, s := range c.Services {
		at := fmt.Sprintf("services[%d]", i)
		f = append(f, s.validate().At(at)...)
		if names[s.Name] {
			f.Add(at+".name", "%q is listed twice", s.Name)
		}
		if owner := owners[s.Token]; owner != "" && s.Token != "" {
			f.Add(at+".token", "is that of %s: each needs one of its own", owner)
		}
		names[s.Name], owners[s.Token] = true, "server."+at
	}
	return f
}

func (s Service) validate() (f input.Faults) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`).MatchString(s.Name) {
		f.Add("name", "%q is not 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit", s.Name)
	}
	switch token := s.Token.Reveal(); {
	case secret.Mistake(token) != "":
		f.Add("token", "%s", secret.Mistake(token))
	case len(token) < minServiceToken:
		f.Add("token", "has %d bytes; %d are the least: `wxgate keys new` makes one", len(token), minServiceToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		f.Add("token", "has characters that a header cannot carry; use letters and digits")
	case secret.WellKnown(token):
		f.Add("token", "is not random: `wxgate keys new` makes one")
	}
	if len(s.May) == 0 {
		f.Add("may", "is empty, so the service could do nothing; it is a list of %s", strings.Join(words(scopes()), ", "))
	}
	for i, scope := range s.May {
		f.OneOf(fmt.Sprintf("may[%d]", i), string(scope), words(scopes())...)
	}
	return f
}

func words(scopes []Scope) []string {
	all := make([]string, len(scopes))
	for i, scope := range scopes {
		all[i] = string(scope)
	}
	return all
}

// find returns whose token it is: the operator's, that of a service, or nobody's. Hashes are compared, and all of them, so
// that the time it takes tells nothing of any token.
func (c Credentials) find(token string) (service *Service, operator bool) {
	if token == "" {
		return nil, false
	}
	sum := sha256.Sum256([]byte(token))
	is := func(other secret.Text) bool {
		sumOfOther := sha256.Sum256([]byte(other.Reveal()))
		return subtle.ConstantTimeCompare(sum[:], sumOfOther[:]) == 1
	}
	operator = is(c.Operator)
	for i := range c.Services {
		if is(c.Services[i].Token) {
			service = &c.Services[i]
		}
	}
	return service, operator
}

// needs returns the scopes of which a service must have one for a request; none: the operator alone may do this.
type needs func(r *http.Request) []Scope

// only is a need that is the same for every request.
func only(scope Scope) needs { return func(*http.Request) []Scope { return []Scope{scope} } }

// operatorAlone is the need of what no service may do.
func operatorAlone(*http.Request) []Scope { return nil }

// anyService is the need of what every service may do: each has a scope.
func anyService(*http.Request) []Scope { return scopes() }

// permit refuses a service that has none of the scopes.
func (s Service) permit(scopes []Scope) error {
	switch {
	case slices.ContainsFunc(scopes, func(scope Scope) bool { return slices.Contains(s.May, scope) }):
		return nil
	case len(scopes) == 0:
		return fmt.Errorf("%w: this is for the operator alone, with server.admin_token", answer.ErrServiceScope)
	}
	return fmt.Errorf("%w: it needs %s in server.services[].may", answer.ErrServiceScope, strings.Join(words(scopes), " or "))
}
