package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// WeChat gives one person another openid in each mini-program, and one unionid in all of them. Each openid has a record of its
// own, an account, whose id is never given to anybody else. The accounts of one person can be linked: the oldest is the user
// then, and logins through the others are logins of that user. See docs/decisions/0163.

// LinkState is how far the link of an account is.
type LinkState string

// The states of a link.
const (
	LinkNone     LinkState = ""         // the account is a user of its own
	LinkPending  LinkState = "pending"  // it still is, until the service has accepted the event
	LinkComplete LinkState = "linked"   // its logins are those of the user LinkedTo
	LinkUndone   LinkState = "unlinked" // by an operator: it is a user of its own, and is not linked again by itself
)

var (
	// ErrLinked refuses what is to be done with the user that an account is linked to.
	ErrLinked = errors.New("the account is linked to another user")
	// ErrNotLinked refuses to unlink an account that is not linked.
	ErrNotLinked = errors.New("the account is not linked to another user")
)

// Linking is how logins link accounts.
type Linking struct {
	// Foreign says that tokens of an existing backend may name accounts: of one that is linked, they are refused.
	Foreign bool
}

// Person is the id of the user whose account this is.
func (u User) Person() int64 {
	if u.Link == LinkComplete {
		return u.LinkedTo
	}
	return u.ID
}

// through is the user as a login through one of their accounts shows them: with the openid and the unionid of that.
func (u User) through(account User) User {
	u.AppID, u.OpenID, u.UnionID, u.UnionIDProved = account.AppID, account.OpenID, account.UnionID, account.UnionIDProved
	return u
}

// isOf reports whether the person with that unionid is certain: WeChat has said it here, not an import.
func (u User) isOf(unionID string) bool {
	return u.UnionID == unionID && unionID != "" && (u.UnionIDProved || u.Native)
}

// personOf reads the user whose account it is.
func personOf(r Reader, account User) (User, error) {
	if account.Person() == account.ID {
		return account, nil
	}
	person, err := r.User(account.Person())
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("user %d is linked to user %d, who does not exist: %w", account.ID, account.LinkedTo, ErrDamaged)
	}
	return person, err
}

// accountsOf returns the accounts that are linked to a user or about to be, by id. One that waits brings those that are linked to it.
func accountsOf(r Reader, userID int64) ([]User, error) {
	accounts, err := r.LinkedUsers(userID)
	for i := 0; i < len(accounts) && err == nil; i++ {
		if accounts[i].Link == LinkPending {
			var others []User
			others, err = r.LinkedUsers(accounts[i].ID)
			accounts = append(accounts, others...)
		}
	}
	slices.SortFunc(accounts, func(a, b User) int { return cmp.Compare(a.ID, b.ID) })
	return accounts, err
}

// linked is what a login has done about links.
type linked struct {
	waits bool         // the account of the login has begun to wait for the service
	ended []Revocation // of the sessions of those that were linked
}

// link links the accounts of the person who logs in, whose account is written already: of two such logins at once, the later
// sees both. What cannot be linked now stays as it is until a later login.
func (l Login) link(w Writer, account User) (User, linked, error) {
	var done linked
	if account.Link == LinkUndone || !account.isOf(account.UnionID) {
		return account, done, nil
	}
	accounts, err := w.UsersByUnionID(account.UnionID)
	if err != nil {
		return account, done, err
	}
	accounts = slices.DeleteFunc(accounts, func(u User) bool { return u.Link == LinkUndone || !u.isOf(account.UnionID) })
	into := account.Person()
	for _, u := range accounts {
		into = min(into, u.Person())
	}
	for _, u := range accounts {
		if u.ID == into || u.Link == LinkComplete {
			continue
		}
		if err := l.linkOne(w, u, into, u.ID == account.ID, &done); err != nil {
			return account, done, err
		}
	}
	if account.Link != LinkComplete && account.ID != into {
		account, err = w.User(account.ID)
	}
	return account, done, err
}

// linkOne takes a link as far as it goes now: where a service is told, it waits for that.
func (l Login) linkOne(w Writer, u User, into int64, isOfLogin bool, done *linked) (err error) {
	_, tells := w.(*recorder)
	if u.Link == LinkNone {
		u, err = l.propose(w, u.ID, into, isOfLogin)
		done.waits = done.waits || isOfLogin && tells && u.Link == LinkPending
	}
	if err != nil || u.Link != LinkPending {
		return err
	}
	if tells {
		return tellMerged(w, u)
	}
	ended, _, err := completeLink(w, u, *l.Link)
	done.ended = append(done.ended, ended...)
	return err
}

// propose lets the link of an account to a user wait, unless something is against it. A refusal of either is one of the login
// if the account is that of the login.
func (l Login) propose(w Writer, id, into int64, isOfLogin bool) (User, error) {
	account, err := w.User(id) // which keeps others from changing it
	if err != nil {
		return account, err
	}
	target, err := w.User(into)
	if err != nil {
		return account, err
	}
	free, err := areSeparate(w, account, target)
	if err == nil && free {
		free, err = areToStay(w, id, into)
	}
	if err != nil || !free || account.Link != LinkNone || target.Link != LinkNone {
		return account, err
	}
	for _, who := range []int64{into, id} {
		if err := l.refuse(who); err != nil && isOfLogin {
			return account, err
		} else if err != nil {
			return account, nil
		}
	}
	pending := account
	pending.Link, pending.LinkedTo = LinkPending, into
	return pending, putUser(w, account, &pending)
}

// areSeparate reports whether two users can be one. In each mini-program a person has one openid. And nobody who waits to
// be linked to the account may end up at an id that is no user any more, whatever the order in which services hear of it.
func areSeparate(w Writer, account, target User) (bool, error) {
	ours, err := w.LinkedUsers(account.ID)
	if err != nil {
		return false, err
	}
	theirs, err := accountsOf(w, target.ID)
	if err != nil {
		return false, err
	}
	apps := map[string]bool{target.AppID: true}
	for _, u := range theirs {
		apps[u.AppID] = true
	}
	taken := func(u User) bool { return apps[u.AppID] || u.Link == LinkPending }
	return !taken(account) && !slices.ContainsFunc(ours, taken), nil
}

// areToStay reports whether none of the users has asked to be erased.
func areToStay(w Writer, users ...int64) (bool, error) {
	for _, id := range users {
		if _, err := w.Deletion(id); !errors.Is(err, ErrNotFound) {
			return false, err
		}
	}
	return true, nil
}

// tellMerged records the event of a link that waits without one, because nobody was told when it began to.
func tellMerged(w Writer, account User) error {
	waiting, err := w.Events(account.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if slices.ContainsFunc(waiting, func(e Event) bool { return e.Type == EventMerged }) {
		return nil
	}
	return addEvent(w, account.ID, Event{Type: EventMerged, Into: account.LinkedTo})
}

// completeLink links an account that waits for it. Its sessions end, endsPerCommit of them, and with the last the account is
// linked, together with those that are linked to it.
func completeLink(w Writer, account User, l Linking) (ended []Revocation, more bool, err error) {
	person, err := w.User(account.LinkedTo)
	if err != nil {
		return nil, false, err
	}
	ids, more, err := w.SomeSessions(account.ID, endsPerCommit)
	if err != nil {
		return nil, false, err
	}
	if ended, err = endEach(w, ids); err != nil || more {
		return ended, more, err
	}
	others, err := w.LinkedUsers(account.ID)
	if err != nil {
		return nil, false, err
	}
	for _, other := range others {
		moved := other
		if moved.LinkedTo = person.ID; err == nil {
			err = putUser(w, other, &moved)
		}
	}
	done := account
	if done.Link = LinkComplete; err == nil {
		err = putUser(w, account, &done)
	}
	if err == nil {
		err = fillProfile(w, person, account)
	}
	if err != nil || !l.Foreign {
		return ended, false, err
	}
	foreign := EndOfForeign(w.Now())
	foreign.ID = strconv.FormatInt(account.ID, 10)
	revoked, err := w.Revoke(foreign)
	return append(ended, revoked), false, err
}

// fillProfile gives a user what they have said of themselves only through an account that was linked.
func fillProfile(w Writer, person, account User) error {
	filled := person
	for _, field := range [][2]*string{
		{&filled.Nickname, &account.Nickname}, {&filled.Avatar, &account.Avatar}, {&filled.Bio, &account.Bio},
	} {
		if *field[0] == "" {
			*field[0] = *field[1]
		}
	}
	return putUser(w, person, &filled)
}

// endEach ends sessions for as long as their tokens could be used.
func endEach(w Writer, ids []string) (ended []Revocation, err error) {
	for _, id := range ids {
		session, err := w.Session(id)
		if err != nil {
			return nil, err
		}
		one, err := endSession(w, id, Stamp(w.Now()), session.ExpiresAt)
		if err != nil {
			return nil, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}

// Linked notes that the service has accepted an EventMerged: the account is linked, and its sessions end. More than a few
// hundred end in several transactions, the last of which links it; before, it is a user of its own. What changed meanwhile
// counts: an account that was unlinked or erased is not linked. The sessions that ended are returned in any case.
func (d *Delivery) Linked(ctx context.Context, l Linking) ([]Revocation, error) {
	return d.store.endAll(ctx, opEventTold, d.User.ID, func(w Writer) (ended []Revocation, more bool, err error) {
		waiting, err := w.Events(d.User.ID)
		if errors.Is(err, ErrNotFound) || err == nil && waiting[0].ID != d.ID {
			return nil, false, d.release(w)
		}
		if err != nil {
			return nil, false, err
		}
		account, err := w.User(d.User.ID)
		if err != nil {
			return nil, false, err
		}
		if account.Link == LinkPending && account.LinkedTo == d.Into {
			if ended, more, err = completeLink(w, account, l); err != nil || more {
				return ended, more, err
			}
			if account, err = w.User(account.ID); err != nil {
				return nil, false, err
			}
		}
		if account.Link == LinkComplete {
			waiting = waiting[:1] // the account is no user any more
		}
		if err := w.PutEvents(d.User.ID, waiting[1:]); err != nil {
			return nil, false, err
		}
		return ended, false, d.release(w)
	})
}

// endThrough ends endsPerCommit of the sessions of a user that began through an account, and reports whether there may be more.
func endThrough(w Writer, account User) (ended []Revocation, more bool, err error) {
	if account.Link != LinkComplete {
		return nil, false, nil
	}
	if _, err := w.User(account.LinkedTo); err != nil { // nobody begins one meanwhile
		return nil, false, err
	}
	var ids []string
	for after := (SessionCursor{}); len(ids) < endsPerCommit; {
		page, err := w.SessionRefs(account.LinkedTo, after, endsPerCommit)
		if err != nil {
			return nil, false, err
		}
		for _, ref := range page {
			session, err := w.Session(ref.ID)
			if err != nil {
				return nil, false, err
			}
			if session.Account == account.ID {
				ids = append(ids, ref.ID)
			}
			after = ref.SessionCursor
		}
		if len(page) < endsPerCommit {
			ended, err = endEach(w, ids)
			return ended, false, err
		}
	}
	ended, err = endEach(w, ids)
	return ended, true, err
}
