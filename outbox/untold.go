package outbox

import (
	"context"
	"time"

	"wxgate/authn"
	"wxgate/storage"
)

// failure is how the attempts to tell the next event of a user have gone in this process.
type failure struct {
	event    string // its id
	attempts int
	last     time.Time
	err      string
}

const (
	maxFailures   = 10_000 // users of whom they are remembered; of others only the event is known
	untoldPerPage = 200    // users
)

// note remembers how an attempt failed, or that none has.
func (o *Outbox) note(next *storage.Delivery, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, known := o.failed[next.User.ID]
	switch {
	case err == nil:
		delete(o.failed, next.User.ID)
		return
	case !known && len(o.failed) >= maxFailures:
		return
	case f.event != next.ID:
		f.attempts = 0
	}
	o.failed[next.User.ID] = failure{next.ID, f.attempts + 1, o.now(), err.Error()}
}

// forgetFailures forgets them all: nothing waits, and other gateways may have told what failed here.
func (o *Outbox) forgetFailures() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.failed)
}

// Untold lists events that have waited since before a time, of some users with ids above after.
func (o *Outbox) Untold(ctx context.Context, after int64, before time.Time) (authn.UntoldPage, error) {
	page := authn.UntoldPage{Events: []authn.Untold{}}
	waiting, err := o.store.WaitingEvents(ctx, after, untoldPerPage)
	if err != nil {
		return page, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, user := range waiting {
		for _, event := range user.Waiting {
			if event.At.After(before) {
				continue
			}
			f := o.failed[user.UserID]
			if f.event != event.ID {
				f = failure{}
			}
			page.Events = append(page.Events, authn.Untold{
				UserID: user.UserID, ID: event.ID, Type: event.Type, At: event.At,
				Attempts: f.attempts, LastAttempt: f.last, LastError: f.err,
			})
		}
	}
	if len(waiting) == untoldPerPage {
		page.Next = &waiting[len(waiting)-1].UserID
	}
	return page, nil
}
