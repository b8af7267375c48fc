package authn

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"wxgate/input"
	"wxgate/secret"
	"wxgate/storage"
)

// OnUserConfig is authn.on_user: the service that is told about users.
type OnUserConfig struct {
	Upstream string      `yaml:"upstream"` // its name in upstreams; empty: nobody is told
	Path     string      `yaml:"path"`     // of the POST
	Secret   secret.Text `yaml:"secret"`   // signs it: whsec_ and 24 to 64 bytes in base64
	Wait     bool        `yaml:"wait"`     // a first login waits until the service has accepted the user
}

// The size of a secret, as Standard Webhooks has it.
const (
	minWebhookSecret = 24
	maxWebhookSecret = 64
)

// Key returns the bytes of the secret.
func (c OnUserConfig) Key() ([]byte, error) {
	text := strings.TrimPrefix(c.Secret.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < minWebhookSecret || len(key) > maxWebhookSecret {
		return nil, fmt.Errorf("is not whsec_ and %d to %d bytes in base64; \"whsec_$(openssl rand -base64 32)\" makes one", minWebhookSecret, maxWebhookSecret)
	}
	return key, nil
}

func (c OnUserConfig) validate() (f input.Faults) {
	if c.Upstream == "" {
		if c.Path != "" || c.Secret != "" || c.Wait {
			f.Add("upstream", "is empty, so nobody would be told; name one of upstreams")
		}
		return f
	}
	if !validWebhookPath(c.Path) {
		f.Add("path", "%q is not a path such as /internal/wxgate/users", c.Path)
	}
	if mistake := secret.Mistake(c.Secret.Reveal()); mistake != "" {
		f.Add("secret", "%s", mistake)
	} else if _, err := c.Key(); err != nil {
		f.Add("secret", "%v", err)
	}
	return f
}

// validWebhookPath accepts what a request line can carry as it is written, visible ASCII without a fragment, and what every
// service reads as the same path.
func validWebhookPath(target string) bool {
	named, _, _ := strings.Cut(target, "?")
	plain := strings.HasPrefix(named, "/") && (named == "/" || strings.TrimSuffix(named, "/") == path.Clean(named))
	return plain && len(target) <= 1024 && !strings.ContainsFunc(target, func(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '#' })
}

// ErrUserService is a service that was to learn of a user and did not accept it. The user keeps the id, and the next
// attempt is the same one.
var ErrUserService = errors.New("the service has not accepted the user")

// Announcer tells the service of authn.on_user about users.
type Announcer interface {
	// Waits reports whether a first login waits until the service has accepted the user.
	Waits() bool
	// Tell returns nil once the service has accepted everything about a user. Otherwise the error wraps ErrUserService,
	// or is one of the store, and the attempt is repeated in the background.
	Tell(ctx context.Context, userID int64) error
	// TellAgain tells it about up to limit users with ids above after.
	TellAgain(ctx context.Context, after int64, limit int) (ToldAgain, error)
	// Untold lists events that have waited since before a time, of some users with ids above after.
	Untold(ctx context.Context, after int64, before time.Time) (UntoldPage, error)
}

// Untold is an event that the service of authn.on_user has not accepted. It is told until it is.
type Untold struct {
	UserID      int64             `json:"user_id"`
	ID          string            `json:"id"` // the Webhook-Id
	Type        storage.EventType `json:"type"`
	At          time.Time         `json:"at"`
	Attempts    int               `json:"attempts"`              // of this process; 0: none, or another gateway tells it
	LastAttempt time.Time         `json:"last_attempt,omitzero"` // of this process
	LastError   string            `json:"last_error,omitempty"`
}

// UntoldPage is some of them, by user.
type UntoldPage struct {
	Events []Untold `json:"events"`
	Next   *int64   `json:"next"` // the value of after for the next page; null: these were the last
}

// ToldAgain is how a service took users that it was told about again.
type ToldAgain struct {
	Told    int     `json:"told"`
	Refused []int64 `json:"refused"` // users whom it did not accept; it will be told again
	Next    *int64  `json:"next"`    // the value of after for the next users; null: these were the last
}

// waits reports whether first logins wait for the service.
func (a *Authn) waits() bool { return a.announcer != nil && a.announcer.Waits() }

// linkWait is how long a login waits for the service to accept that its account is another user's. A service that takes longer
// is told in the background, and the login is that of the account.
const linkWait = 5 * time.Second

// loginTold logs in, and starts the session of a new user once the service has accepted the user. One whose account has just
// been found to be another user's starts when the service has had a chance to accept that.
func (a *Authn) loginTold(ctx context.Context, login storage.Login) (storage.LoginResult, error) {
	in, err := a.store.Login(ctx, login)
	if err != nil || !in.Held {
		return in, err
	}
	untold := a.tell(ctx, in)
	if untold != nil && !in.Linking {
		return storage.LoginResult{}, untold
	}
	in, err = a.store.Login(ctx, login) // repeating it is harmless
	switch {
	case err == nil && in.Held && untold != nil:
		err = untold
	case err == nil && in.Held:
		err = fmt.Errorf("%w: it must be told of another first login meanwhile", ErrUserService) // erased and come again, as a rule
	}
	return in, err
}

// tell tells the service what holds a login.
func (a *Authn) tell(ctx context.Context, in storage.LoginResult) error {
	if in.Linking && !a.waits() {
		short, cancel := context.WithTimeout(ctx, linkWait)
		defer cancel()
		ctx = short
	}
	if a.announcer == nil {
		return fmt.Errorf("%w: authn.on_user names no service", ErrUserService)
	}
	return a.announcer.Tell(ctx, in.User.ID)
}

// ensureTold lets nobody act for a user of whom the service does not know, where logins wait for it.
func (a *Authn) ensureTold(ctx context.Context, userID int64) error {
	if !a.waits() {
		return nil
	}
	if untold, err := a.store.Untold(ctx, userID); err != nil || !untold {
		return err
	}
	return a.announcer.Tell(ctx, userID)
}

// Untold lists what the service of authn.on_user has not accepted for a time, of some users with ids above after.
func (u *Users) Untold(ctx context.Context, after int64, since time.Duration) (UntoldPage, error) {
	if u.announcer == nil {
		return UntoldPage{}, fmt.Errorf("%w: authn.on_user names no service", ErrInvalidRequest)
	}
	return u.announcer.Untold(ctx, after, u.now().Add(-since))
}

// TellAgain tells the service of authn.on_user about up to limit users with ids above after.
func (u *Users) TellAgain(ctx context.Context, after int64, limit int) (ToldAgain, error) {
	if u.announcer == nil {
		return ToldAgain{}, fmt.Errorf("%w: authn.on_user names no service", ErrInvalidRequest)
	}
	return u.announcer.TellAgain(ctx, after, limit)
}
