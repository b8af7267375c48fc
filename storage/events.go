package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// EventType is what happened to a user.
type EventType string

// The types of an Event.
const (
	EventCreated EventType = "user.created" // the first login
	EventUpdated EventType = "user.updated" // profile, phone number or unionid changed, or the service is told again
	EventErased  EventType = "user.erased"  // only the id is left
	// EventMerged is an account whose data are to become those of the user Into. Once the service has accepted it, the account
	// is linked; see Delivery.Linked.
	EventMerged   EventType = "user.merged"
	EventUnlinked EventType = "user.unlinked" // it is a user of its own again, and no part of the user Into any more
)

// Event is something that a service must still be told about a user. It holds nothing personal: whoever delivers it
// reads the user as they are then.
type Event struct {
	ID   string    `json:"id"` // random; the same at every attempt to deliver it
	Type EventType `json:"type"`
	At   time.Time `json:"at"`
	Into int64     `json:"into,omitempty"` // of EventMerged and EventUnlinked
}

// maxEvents is how many events of a user wait at most: one that may be on its way, and one for all that came later.
const maxEvents = 2

// RecordEvents turns recording what happens to users on or off. The events are part of the transaction that changes
// the user, so none is lost and none is invented. They stay until they are told.
func (s *Store) RecordEvents(on bool) { s.recording.Store(on) }

// News receives the ids of users with new events. When nobody receives, ids are left out; UsersToTell has them all.
func (s *Store) News() <-chan int64 { return s.news }

// deliveryLease is how long one process has to deliver an event: longer than a request to a service takes.
const deliveryLease = 8 * time.Second

// Delivery is the event that a service must be told next about a user. One process has it at a time; see Lease for what
// that means. It ends with Told or GiveUp.
type Delivery struct {
	Event
	User User // of an erased one only the ID is set

	store *Store
	held  tenure
}

// NextEvent lets this process deliver the next event of a user, or returns ErrNotFound if there is none, and ErrLeased
// while another process delivers one.
func (s *Store) NextEvent(ctx context.Context, userID int64) (*Delivery, error) {
	held := tenure{time.Now(), deliveryLease}
	if !s.Shared() {
		return read(ctx, s, opNextEvent, func(r Reader) (*Delivery, error) { return nextEvent(r, s, userID, held) }, userID)
	}
	return write(ctx, s, opNextEvent, func(w Writer) (*Delivery, error) {
		next, err := nextEvent(w, s, userID, held)
		if err != nil {
			return nil, err
		}
		return next, takeLease(w, deliveryOf(userID), s.Epoch(), deliveryLease)
	}, userID)
}

func nextEvent(r Reader, s *Store, userID int64, held tenure) (*Delivery, error) {
	waiting, err := r.Events(userID)
	if err != nil {
		return nil, err
	}
	if waiting[0].Type == EventMerged {
		if first, err := untold(r, waiting[0].Into); err != nil {
			return nil, err
		} else if first {
			return nil, fmt.Errorf("user %d is told about first: %w", waiting[0].Into, ErrLeased)
		}
	}
	user, err := r.User(userID)
	if errors.Is(err, ErrNotFound) {
		user, err = User{ID: userID}, nil
	}
	return &Delivery{Event: waiting[0], User: user, store: s, held: held}, err
}

// Left is for how long the event is still ours to deliver.
func (d *Delivery) Left() time.Duration { return d.held.Left() }

// Told notes that the service has accepted the event, which is no EventMerged: see Linked.
func (d *Delivery) Told(ctx context.Context) error {
	if d.Type == EventMerged {
		return errors.New("an account is not linked by noting that it was told about")
	}
	return d.end(ctx, opEventTold, func(w Writer) error {
		waiting, err := w.Events(d.User.ID)
		if errors.Is(err, ErrNotFound) || err == nil && waiting[0].ID != d.ID {
			return nil // it was told twice, or the user was erased meanwhile
		}
		if err != nil {
			return err
		}
		return w.PutEvents(d.User.ID, waiting[1:])
	})
}

// GiveUp leaves the event to whoever comes next.
func (d *Delivery) GiveUp(ctx context.Context) error {
	if !d.store.Shared() {
		return nil
	}
	return d.end(ctx, opEventNotTold, func(Writer) error { return nil })
}

func (d *Delivery) end(ctx context.Context, op operation, change func(Writer) error) error {
	_, err := write(ctx, d.store, op, func(w Writer) (struct{}, error) {
		if err := change(w); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, d.release(w)
	}, d.User.ID)
	return err
}

// release lets others deliver what is left to tell about the user.
func (d *Delivery) release(w Writer) error {
	if !d.store.Shared() {
		return nil
	}
	return releaseLease(w, deliveryOf(d.User.ID), d.store.Epoch())
}

func deliveryOf(userID int64) string { return "user " + strconv.FormatInt(userID, 10) }

// UsersToTell returns up to limit ids above after of users with events, in order.
func (s *Store) UsersToTell(ctx context.Context, after int64, limit int) ([]int64, error) {
	return read(ctx, s, opUsersToTell, func(r Reader) ([]int64, error) { return r.UsersWithEvents(max(0, after), limit) })
}

// WaitingEvents returns what a service must still be told about up to limit users with ids above after, by id.
func (s *Store) WaitingEvents(ctx context.Context, after int64, limit int) ([]UserEvents, error) {
	return read(ctx, s, opUsersToTell, func(r Reader) (all []UserEvents, err error) {
		ids, err := r.UsersWithEvents(max(0, after), limit)
		for _, id := range ids {
			waiting, err := r.Events(id)
			if errors.Is(err, ErrNotFound) {
				continue // told meanwhile
			}
			if err != nil {
				return nil, err
			}
			all = append(all, UserEvents{UserID: id, Waiting: waiting})
		}
		return all, err
	})
}

// TellAgain records an EventUpdated for up to limit users with ids above after, an EventMerged for accounts that are linked or
// about to be, and returns their ids.
func (s *Store) TellAgain(ctx context.Context, after int64, limit int) ([]int64, error) {
	return write(ctx, s, opTellAgain, func(w Writer) (ids []int64, err error) {
		users, err := w.Users(max(0, after), limit)
		for _, u := range users {
			again := Event{Type: EventUpdated}
			if u.LinkedTo != 0 {
				again = Event{Type: EventMerged, Into: u.LinkedTo}
			}
			if err == nil {
				err = addEvent(w, u.ID, again)
			}
			ids = append(ids, u.ID)
		}
		return ids, err
	})
}

// Untold reports whether a service must still be told about the first login of a user.
func (s *Store) Untold(ctx context.Context, userID int64) (bool, error) {
	return read(ctx, s, opUntold, func(r Reader) (bool, error) { return untold(r, userID) }, userID)
}

func untold(r Reader, userID int64) (bool, error) {
	waiting, err := r.Events(userID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && waiting[0].Type == EventCreated, err
}

// addEvent lets an event wait behind the one that may be on its way, in the place of any other. An erasure is all that
// is left to tell. A change is part of what a link tells that still waits; one that was undone before the service heard of it
// is no more than a change.
func addEvent(w Writer, userID int64, event Event) error {
	waiting, err := w.Events(userID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if event.Type == EventErased {
		waiting = nil
	}
	if len(waiting) == maxEvents {
		switch last := waiting[maxEvents-1].Type; {
		case event.Type == EventUpdated && (last == EventMerged || last == EventUnlinked):
			return nil
		case event.Type == EventUnlinked && last == EventMerged:
			event = Event{Type: EventUpdated}
		}
	}
	event.ID, event.At = "evt_"+rand.Text(), Stamp(w.Now())
	return w.PutEvents(userID, append(waiting[:min(len(waiting), maxEvents-1)], event))
}

// recorder is a Writer that records what happens to users as events.
type recorder struct {
	Writer

	users []int64 // with new events
}

// AddUser records the first login of a user. An imported one is known to the service.
func (r *recorder) AddUser(u User) error {
	if err := r.Writer.AddUser(u); err != nil || !u.Native {
		return err
	}
	return r.record(u.ID, Event{Type: EventCreated})
}

// PutUser records a change of what a service is told.
func (r *recorder) PutUser(old, changed User) error {
	if err := r.Writer.PutUser(old, changed); err != nil {
		return err
	}
	if old.Link != changed.Link {
		switch changed.Link {
		case LinkPending:
			return r.record(changed.ID, Event{Type: EventMerged, Into: changed.LinkedTo})
		case LinkUndone, LinkNone:
			return r.record(changed.ID, Event{Type: EventUnlinked, Into: old.LinkedTo})
		}
	}
	same := old.Nickname == changed.Nickname && old.Avatar == changed.Avatar && old.Bio == changed.Bio && old.UnionID == changed.UnionID
	if same || changed.Link == LinkComplete || slices.Contains(r.users, changed.ID) { // who was just added is told about as a whole
		return nil
	}
	return r.record(changed.ID, Event{Type: EventUpdated})
}

// EraseUser records an erasure.
func (r *recorder) EraseUser(u User) error {
	if err := r.Writer.EraseUser(u); err != nil {
		return err
	}
	return r.record(u.ID, Event{Type: EventErased})
}

func (r *recorder) record(userID int64, event Event) error {
	r.users = append(r.users, userID)
	return addEvent(r.Writer, userID, event)
}

// phoneChanged records that a user gave a phone number, where events are recorded.
func phoneChanged(w Writer, userID int64) error {
	if r, records := w.(*recorder); records {
		return r.record(userID, Event{Type: EventUpdated})
	}
	return nil
}

// announce offers the users of new events to whoever receives News.
func (s *Store) announce(r *recorder) {
	if r == nil {
		return
	}
	for _, id := range r.users {
		select {
		case s.news <- id:
		default:
		}
	}
}
