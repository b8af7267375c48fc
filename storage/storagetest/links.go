package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"wxgate/storage"
)

func links() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a login through another mini-program is one of the older account":    linkAtOnce,
		"sessions of an account end when it is linked":                        linkEndsSessions,
		"an older account that becomes known takes the others in":             linkBackwards,
		"nothing is linked on a guess":                                        linkNothing,
		"an account is linked once the service has accepted it, not before":   linkWaits,
		"a link survives a restart at each of its steps":                      linkSurvives,
		"of a chain each account leads to the oldest":                         linkChain,
		"nobody waits for an account that waits itself":                       linkHolds,
		"a user is told about before others become theirs":                    linkInOrder,
		"who may not log in links nothing":                                    linkRefused,
		"unlinking makes a user of its own again, for good":                   unlink,
		"unlinking before the service has heard of it leaves a change":        unlinkUnheard,
		"unlinking while the service may hear of it is told behind it":        unlinkInFlight,
		"erasing a user erases every account":                                 eraseLinked,
		"erasing a user erases those who are linked to an account that waits": eraseLinkedChain,
		"a login through any account of a chain takes a deletion back":        takeBackChain,
		"who asks to be erased while a link waits stays apart":                linkWithdrawn,
		"unlinking saves nobody from the erasure that they asked for":         unlinkToErase,
		"session_keys are of an account, a phone number is of the person":     linkedSecrets,
		"who changes the user of several accounts changes the person":         linkedProfile,
		"telling again tells whose an account is":                             tellLinkedAgain,
		"logins of one person through every mini-program at once are one":     linkAtTheSameTime,
		"an account that was linked begins no session of its own":             linkedBeginsNothing,
		"a login that is repeated elsewhere is that of the person":            linkedOutcome,
		"an account with many sessions is linked with the last that ends":     linkManySessions,
		"tokens of an existing backend are refused once a link is complete":   linkForeign,
		"a link that waits is complete at the next login when nobody is told": linkUntold,
		"who has asked to be erased is not linked":                            linkNotErased,
	}
}

// through is a login through a mini-program of a person, who has one openid in each.
func (f *fixture) through(app, person, sid string) storage.Login {
	l := f.as(person+" in "+app, sid)
	l.AppID, l.UnionID, l.Link = app, person, &storage.Linking{}
	return l
}

// wantUser checks as whom a login counts, and through which account.
func (f *fixture) wantUser(what string, in storage.LoginResult, user, account int64) {
	f.t.Helper()
	want(f.t, "the user of "+what, in.User.ID, user)
	want(f.t, "the account of "+what, in.Account, account)
	if in.Session.ID != "" {
		want(f.t, "the user of its session", in.Session.UserID, user)
		want(f.t, "whether its session is of another account", in.Session.Account != 0, user != account)
	}
}

// wantLink checks the link of an account.
func (f *fixture) wantLink(id int64, state storage.LinkState, to int64) {
	f.t.Helper()
	u, err := f.User(f.ctx, id)
	f.must(err)
	if u.Link != state || u.LinkedTo != to {
		f.t.Errorf("user %d is %q to %d, want %q to %d", id, u.Link, u.LinkedTo, state, to)
	}
}

// accept lets the service accept everything about a user.
func (f *fixture) accept(userID int64) (types []storage.EventType) {
	f.t.Helper()
	for {
		next := f.next(userID)
		if next.ID == "" {
			return types
		}
		types = append(types, next.Type)
		if next.Type != storage.EventMerged {
			f.must(next.Told(f.ctx))
			continue
		}
		_, err := next.Linked(f.ctx, storage.Linking{})
		f.must(err)
	}
}

// withoutLink is a login as before links were turned on.
func withoutLink(l storage.Login) storage.Login {
	l.Link = nil
	return l
}

func linkAtOnce(t *testing.T, f *fixture) {
	f.wantUser("the first login", f.login(f.through("wx1", "u", "s1")), 1, 1)
	in := f.login(f.through("wx2", "u", "s2"))
	f.wantUser("one through another mini-program", in, 1, 2)
	want(t, "created", in.Created, false)
	want(t, "appid", in.User.AppID, "wx2")
	want(t, "openid", in.User.OpenID, "u in wx2")
	f.wantUser("somebody else's", f.login(f.through("wx2", "other", "s3")), 3, 3)
	f.reopen()
	f.wantUser("the next login", f.login(f.through("wx2", "u", "s4")), 1, 2)
	f.wantUser("the next one without links", f.login(withoutLink(f.through("wx2", "u", "s5"))), 1, 2)
	f.wantUser("one that names no unionid", f.login(storage.Login{AppID: "wx2", OpenID: "u in wx2"}), 1, 2)
	f.wantUser("the older account's", f.login(f.through("wx1", "u", "s6")), 1, 1)
	f.wantLink(1, storage.LinkNone, 0)
	f.wantLink(2, storage.LinkComplete, 1)
	f.wantSessions(1, "s1", "s2", "s4", "s5", "s6")
	f.wantSessions(2)
	account, err := f.UserByOpenID(f.ctx, "wx2", "u in wx2")
	f.must(err)
	want(t, "the record of the openid", account.ID, 2)
	person, err := f.Person(f.ctx, account)
	f.must(err)
	want(t, "whose it is", person.ID, 1)
	want(t, "as which it is seen", person.OpenID, "u in wx2")
	accounts, err := f.Accounts(f.ctx, 1)
	f.must(err)
	want(t, "accounts", len(accounts), 1)
	want(t, "id of the next user", f.login(f.through("wx3", "new", "s7")).User.ID, 4)
}

func linkEndsSessions(t *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	for i := range 3 {
		f.login(withoutLink(f.through("wx2", "u", fmt.Sprint("old", i))))
	}
	in := f.login(f.through("wx2", "u", "new"))
	f.wantUser("the login that links", in, 1, 2)
	want(t, "sessions that ended", len(in.Ended), 3)
	f.wantSessions(1, "new", "s1")
	f.wantSessions(2)
	f.wantRevoked(0, "old0", "old1", "old2")
	_, err := f.UpdateSession(f.ctx, "old1", func(*storage.Session) ([]storage.Revocation, error) { return nil, nil })
	f.wantErr("refreshing an ended one", err, storage.ErrNotFound)
}

func linkBackwards(t *testing.T, f *fixture) {
	f.login(f.as("u in wx1", "s1")) // whose unionid WeChat does not know yet
	f.wantUser("a login before it is known", f.login(f.through("wx2", "u", "s2")), 2, 2)
	in := f.login(f.through("wx1", "u", "s3"))
	f.wantUser("the login by which it is", in, 1, 1)
	want(t, "sessions that ended", len(in.Ended), 1)
	f.wantLink(2, storage.LinkComplete, 1)
	f.wantUser("the other one's next", f.login(f.through("wx2", "u", "s4")), 1, 2)
}

func linkNothing(t *testing.T, f *fixture) {
	u := known(1, "u in wx1")
	u.UnionID = "u"
	f.importUser(u)
	f.wantUser("a login whose unionid only an import has", f.login(f.through("wx2", "u", "s1")), 2, 2)
	f.wantUser("one without a unionid", f.login(storage.Login{AppID: "wx3", OpenID: "o", Link: &storage.Linking{}}), 3, 3)
	f.wantUser("another without", f.login(storage.Login{AppID: "wx4", OpenID: "o", Link: &storage.Linking{}}), 4, 4)
	twice := f.through("wx2", "u", "s2")
	twice.OpenID = "another openid"
	f.wantUser("a second openid of one mini-program", f.login(twice), 5, 5)
	f.wantLink(2, storage.LinkNone, 0)
	f.wantUser("the imported user's own login", f.login(f.through("wx1", "u", "s3")), 1, 1)
	f.wantLink(2, storage.LinkComplete, 1)
	f.wantLink(5, storage.LinkNone, 0)
	_, err := f.UpdateUser(f.ctx, 2, func(u *storage.User) error { u.Link, u.LinkedTo = storage.LinkNone, 0; return nil })
	f.must(err)
	f.wantLink(2, storage.LinkComplete, 1)
	want(t, "a user of nobody's unionid", f.login(f.through("wx1", "U", "s4")).User.ID, 6) // compared bytewise
}

func linkWaits(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.accept(1)
	in := f.login(f.through("wx2", "u", "s2"))
	f.wantUser("a login before the service has accepted it", in, 2, 2)
	want(t, "held for the service", in.Held && in.Linking, true)
	want(t, "its session", in.Session.ID, "")
	f.wantLink(2, storage.LinkPending, 1)
	for _, sid := range []string{"s2", "s3"} {
		in = f.login(f.through("wx2", "u", sid))
		f.wantUser("a login while it waits", in, 2, 2)
		want(t, "held", in.Held, false)
		want(t, "whether the user is new", in.Created, sid == "s2")
	}
	f.rename(2, "红") // which leaves what is to be told
	first := f.next(2)
	want(t, "the first event", first.Type, storage.EventCreated)
	f.must(first.Told(f.ctx))
	merged := f.next(2)
	want(t, "the second event", merged.Type, storage.EventMerged)
	want(t, "into whom", merged.Into, 1)
	if err := merged.Told(f.ctx); err == nil {
		t.Error("an account was told to be linked, and is not")
	}
	f.rename(2, "小红") // while it is on its way
	ended, err := merged.Linked(f.ctx, storage.Linking{})
	f.must(err)
	want(t, "sessions that ended", len(ended), 2)
	f.wantRevoked(0, "s2", "s3")
	f.wantLink(2, storage.LinkComplete, 1)
	wantTypes(t, f.tell(2))
	again, err := merged.Linked(f.ctx, storage.Linking{})
	f.must(err)
	want(t, "sessions that end if it is told twice", len(again), 0)
	f.wantUser("the next login", f.login(f.through("wx2", "u", "s4")), 1, 2)
	wantTypes(t, f.tell(1), storage.EventUpdated) // who had said nothing of themselves
	wantTypes(t, f.tell(2))
}

func linkSurvives(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.accept(1)
	f.login(f.through("wx2", "u", "s2"))
	f.wantUser("a login", f.login(f.through("wx2", "u", "s3")), 2, 2)
	f.must(f.next(2).Told(f.ctx)) // created
	before := f.next(2)
	f.must(before.GiveUp(f.ctx)) // the answer was lost
	f.reopen()
	f.RecordEvents(true)
	f.wantLink(2, storage.LinkPending, 1)
	again := f.next(2)
	want(t, "the event after a restart", again.Event, before.Event)
	_, err := again.Linked(f.ctx, storage.Linking{})
	f.must(err)
	f.reopen()
	f.RecordEvents(true)
	f.wantLink(2, storage.LinkComplete, 1)
	f.wantSessions(2)
	wantTypes(t, f.accept(2))
	f.wantUser("the next login", f.login(f.through("wx2", "u", "s4")), 1, 2)
}

func linkChain(t *testing.T, f *fixture) {
	f.login(f.as("u in wx1", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.wantUser("the third", f.login(f.through("wx3", "u", "s3")), 2, 3)
	in := f.login(f.through("wx1", "u", "s4")) // the oldest becomes known last
	want(t, "sessions that ended", len(in.Ended), 2)
	f.wantLink(2, storage.LinkComplete, 1)
	f.wantLink(3, storage.LinkComplete, 1)
	f.wantUser("the second", f.login(f.through("wx2", "u", "s5")), 1, 2)
	f.wantUser("the third", f.login(f.through("wx3", "u", "s6")), 1, 3)
	f.wantUser("a fourth", f.login(f.through("wx4", "u", "s7")), 1, 4)
	f.wantSessions(1, "s1", "s4", "s5", "s6", "s7")
	accounts, err := f.Accounts(f.ctx, 1)
	f.must(err)
	want(t, "accounts", len(accounts), 3)
}

func linkHolds(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.as("u in wx1", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.accept(1)
	f.accept(2)
	f.login(f.through("wx3", "u", "s3"))
	f.wantLink(3, storage.LinkPending, 2)
	f.login(f.through("wx1", "u", "s4"))
	f.wantLink(2, storage.LinkNone, 0) // or the service could be told that 2 is 1 before it is told that 3 is 2
	f.wantLink(3, storage.LinkPending, 2)
	f.accept(3)
	f.login(f.through("wx3", "u", "s5"))
	f.wantLink(2, storage.LinkPending, 1)
	f.wantLink(3, storage.LinkComplete, 2)
	f.login(f.through("wx4", "u", "s6"))
	f.wantLink(4, storage.LinkPending, 1)
	f.accept(4)
	f.accept(2)
	for id := int64(2); id <= 4; id++ {
		f.wantLink(id, storage.LinkComplete, 1)
	}
	f.wantSessions(1, "s1", "s4")
	f.wantUser("the third", f.login(f.through("wx3", "u", "s7")), 1, 3)
	wantTypes(t, f.accept(3))
}

func linkInOrder(_ *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.must(f.next(2).Told(f.ctx))
	_, err := f.NextEvent(f.ctx, 2)
	f.wantErr("an account of somebody of whom the service does not know", err, storage.ErrLeased)
	f.accept(1)
	f.accept(2)
	f.wantLink(2, storage.LinkComplete, 1)
}

func linkRefused(t *testing.T, f *fixture) {
	banned := errors.New("banned")
	refuse := func(l storage.Login, ids ...int64) storage.Login {
		l.Refuse = func(id int64) error {
			for _, refused := range ids {
				if id == refused {
					return banned
				}
			}
			return nil
		}
		return l
	}
	f.login(f.through("wx1", "u", "s1"))
	_, err := f.Login(f.ctx, refuse(f.through("wx2", "u", "s2"), 1))
	f.wantErr("a new account of somebody who is refused", err, banned)
	_, err = f.UserByOpenID(f.ctx, "wx2", "u in wx2")
	f.wantErr("what is left of it", err, storage.ErrNotFound)
	f.login(withoutLink(f.through("wx2", "u", "s3")))
	f.wantUser("a login beside one who is refused", f.login(refuse(f.through("wx1", "u", "s4"), 2)), 1, 1)
	f.wantLink(2, storage.LinkNone, 0)
	_, err = f.Login(f.ctx, refuse(f.through("wx2", "u", "s5"), 2))
	f.wantErr("the one who is refused", err, banned)
	f.login(f.through("wx2", "u", "s6"))
	for _, who := range []int64{1, 2} {
		_, err = f.Login(f.ctx, refuse(f.through("wx2", "u", "s7"), who))
		f.wantErr(fmt.Sprint("a linked login while user ", who, " is refused"), err, banned)
	}
	want(t, "somebody else", f.login(refuse(f.through("wx2", "other", "s8"), 1, 2)).User.ID, 3)
}

func unlink(t *testing.T, f *fixture) {
	_, err := f.Unlink(f.ctx, 1)
	f.wantErr("unlinking nobody", err, storage.ErrNotFound)
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	_, err = f.Unlink(f.ctx, 1)
	f.wantErr("unlinking who is not linked", err, storage.ErrNotLinked)
	f.accept(1)
	f.login(f.through("wx2", "u", "s2"))
	f.login(f.through("wx3", "u", "s3"))
	f.accept(2)
	f.accept(3)
	f.login(f.through("wx2", "u", "s4"))
	f.login(f.through("wx3", "u", "s5"))
	ended, err := f.Unlink(f.ctx, 2)
	f.must(err)
	want(t, "sessions that ended", len(ended), 1)
	want(t, "which one", ended[0].ID, "s4")
	f.wantSessions(1, "s1", "s5")
	next := f.next(2)
	want(t, "the event", next.Type, storage.EventUnlinked)
	want(t, "of whom", next.Into, 1)
	f.must(next.Told(f.ctx))
	f.reopen()
	f.RecordEvents(true)
	for i := range 2 {
		f.wantUser("the next login", f.login(f.through("wx2", "u", fmt.Sprint("s6", i))), 2, 2)
		f.wantUser("the other account's", f.login(f.through("wx3", "u", fmt.Sprint("s7", i))), 1, 3)
	}
	f.wantLink(2, storage.LinkUndone, 0)
	_, err = f.Unlink(f.ctx, 2)
	f.wantErr("unlinking twice", err, storage.ErrNotLinked)
	wantTypes(t, f.accept(2))
	f.erase(1)
	f.RecordEvents(false)
	f.wantUser("who comes while it is the oldest", f.login(f.through("wx4", "u", "s8")), 4, 4)
	f.wantUser("another", f.login(f.through("wx5", "u", "s9")), 4, 5)
}

func unlinkUnheard(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.login(f.through("wx2", "u", "s2"))
	ended, err := f.Unlink(f.ctx, 2)
	f.must(err)
	want(t, "sessions that ended", len(ended), 0)
	f.wantLink(2, storage.LinkUndone, 0)
	f.accept(1)
	wantTypes(t, f.accept(2), storage.EventCreated, storage.EventUpdated)
	f.wantSessions(2, "s2")
}

func unlinkInFlight(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.accept(1)
	f.must(f.next(2).Told(f.ctx)) // created
	merged := f.next(2)
	_, err := f.Unlink(f.ctx, 2)
	f.must(err)
	ended, err := merged.Linked(f.ctx, storage.Linking{})
	f.must(err)
	want(t, "sessions that ended", len(ended), 0)
	f.wantLink(2, storage.LinkUndone, 0)
	next := f.next(2)
	want(t, "what the service hears then", next.Type, storage.EventUnlinked)
	want(t, "of whom", next.Into, 1)
	f.must(next.Told(f.ctx))
	wantTypes(t, f.accept(2))
}

func eraseLinked(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.accept(1)
	f.accept(2)
	f.login(f.through("wx2", "u", "s3"))
	f.login(f.through("wx3", "u", "s4"))
	f.must(f.next(3).Told(f.ctx))
	inFlight := f.next(3)
	_, err := f.EraseUser(f.ctx, 2, f.now(), f.now().Add(time.Hour))
	f.wantErr("erasing an account that is linked", err, storage.ErrLinked)
	f.erase(1)
	for id := int64(1); id <= 3; id++ {
		f.wantErased(id)
	}
	_, err = inFlight.Linked(f.ctx, storage.Linking{})
	f.must(err)
	for id := int64(1); id <= 3; id++ {
		wantTypes(t, f.accept(id), storage.EventErased)
	}
	f.wantUser("who comes back", f.login(f.through("wx2", "u", "s5")), 4, 4)
	f.accept(4)
	f.login(f.through("wx1", "u", "s6"))
	f.accept(5)
	f.wantUser("through the other one", f.login(f.through("wx1", "u", "s7")), 4, 5)
}

// chain makes user 3 one with 2, who waits to be one with 1.
func (f *fixture) chain() {
	f.t.Helper()
	f.RecordEvents(true)
	f.login(f.as("u in wx1", "s1")) // whose unionid WeChat does not know yet
	f.login(f.through("wx2", "u", "s2"))
	f.login(f.through("wx3", "u", "s3"))
	for id := int64(1); id <= 3; id++ {
		f.accept(id)
	}
	f.login(f.through("wx1", "u", "s4"))
	f.wantLink(3, storage.LinkComplete, 2)
	f.wantLink(2, storage.LinkPending, 1)
}

func eraseLinkedChain(t *testing.T, f *fixture) {
	f.chain()
	f.login(f.through("wx3", "u", "s5")) // a session of 2
	accounts, err := f.Accounts(f.ctx, 1)
	f.must(err)
	want(t, "accounts", len(accounts), 2)
	f.erase(1)
	for id := int64(1); id <= 3; id++ {
		f.wantErased(id)
		wantTypes(t, f.accept(id), storage.EventErased)
	}
	f.wantSessions(2)
	f.wantUser("who comes back", f.login(f.through("wx3", "u", "s6")), 4, 4)
}

func takeBackChain(t *testing.T, f *fixture) {
	f.chain()
	_, err := f.PutDeletion(f.ctx, storage.Deletion{UserID: 1, At: f.now().Add(time.Hour)})
	f.must(err)
	l := f.through("wx3", "u", "s5")
	l.TakeBack = true
	want(t, "taken back", f.login(l).TookBack, true)
	_, err = f.Deletion(f.ctx, 1)
	f.wantErr("the deletion", err, storage.ErrNotFound)
}

func unlinkToErase(t *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	at, err := f.PutDeletion(f.ctx, storage.Deletion{UserID: 1, At: f.now().Add(time.Hour)})
	f.must(err)
	_, err = f.Unlink(f.ctx, 2)
	f.must(err)
	got, err := f.Deletion(f.ctx, 2)
	f.must(err)
	want(t, "when the account is erased", got.Equal(at), true)
	l := f.through("wx2", "u", "s3")
	l.TakeBack = true
	want(t, "taken back by its own login", f.login(l).TookBack, true)
	_, err = f.Deletion(f.ctx, 1)
	f.must(err)
}

func linkWithdrawn(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.accept(1)
	ask := func(person, app string) (id int64) {
		t.Helper()
		id = f.login(f.through(app, person, "s of "+app)).User.ID
		f.must(f.next(id).Told(f.ctx)) // created
		return id
	}
	unheard := ask("u", "wx2")
	_, err := f.PutDeletion(f.ctx, storage.Deletion{UserID: unheard, At: f.now().Add(time.Hour)})
	f.must(err)
	f.wantLink(unheard, storage.LinkNone, 0)

	heard := ask("u", "wx3")
	merged := f.next(heard)
	want(t, "what the service hears", merged.Type, storage.EventMerged)
	_, err = f.PutDeletion(f.ctx, storage.Deletion{UserID: heard, At: f.now().Add(time.Hour)})
	f.must(err)
	_, err = merged.Linked(f.ctx, storage.Linking{})
	f.must(err)
	f.wantLink(heard, storage.LinkNone, 0)
	next := f.next(heard)
	want(t, "what the service hears then", next.Type, storage.EventUnlinked)
	want(t, "of whom", next.Into, 1)
	f.must(next.Told(f.ctx))
	wantTypes(t, f.accept(heard))
}

func linkedSecrets(t *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	phone := storage.Phone{Number: "13580006666", PureNumber: "13580006666", CountryCode: "86"}
	f.login(withoutLink(f.through("wx2", "u", "s2")))
	f.must(f.SetPhone(f.ctx, 2, phone))
	f.login(f.through("wx2", "u", "s3"))
	f.wantKeys(1, "key of s1")
	f.wantKeys(2, "key of s3", "key of s2")
	since := f.now()
	cloud := f.through("wx2", "u", "s4")
	cloud.SessionKey = storage.SessionKey{}
	f.login(cloud)
	back, err := f.LoggedInSince(f.ctx, "wx2", cloud.OpenID, since)
	f.must(err)
	want(t, "a session of the user counts for the account", back, true)
	for app, id := range map[string]int64{"": 1, "wx1": 1, "wx2": 2} {
		account, err := f.Account(f.ctx, 1, app)
		f.must(err)
		want(t, "the account in "+app, account.ID, id)
	}
	_, err = f.Account(f.ctx, 1, "wx3")
	f.wantErr("an account in another", err, storage.ErrNotFound)
	got, err := f.Phone(f.ctx, 1)
	f.must(err)
	want(t, "the number that only the account has", got, phone)
	phone.PureNumber = "13580007777"
	f.must(f.SetPhone(f.ctx, 1, phone))
	got, err = f.Phone(f.ctx, 1)
	f.must(err)
	want(t, "the number that was given since", got, phone)
	forgotten, err := f.ForgetPhone(f.ctx, 1)
	f.must(err)
	want(t, "there was one", forgotten, true)
	_, err = f.Phone(f.ctx, 1)
	f.wantErr("the number of the user, and that of the account", err, storage.ErrNotFound)
}

func linkedProfile(t *testing.T, f *fixture) {
	named := func(l storage.Login, nickname string) storage.Login {
		l.Change = func(u *storage.User) error {
			if nickname != "" {
				u.Nickname = nickname
			}
			return nil
		}
		return l
	}
	f.login(f.through("wx1", "u", "s1"))
	f.login(withoutLink(named(f.through("wx2", "u", "s2"), "小红")))
	want(t, "a nickname that only the account has", f.login(named(f.through("wx2", "u", "s3"), "")).User.Nickname, "小红")
	f.rename(1, "小明")
	want(t, "the nickname", f.login(named(f.through("wx2", "u", "s4"), "")).User.Nickname, "小明")
	want(t, "one that a login brings", f.login(named(f.through("wx2", "u", "s5"), "小华")).User.Nickname, "小华")
	u, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "whose it is", u.Nickname, "小华")
	want(t, "the appid of the record", u.AppID, "wx1")
	_, err = f.Unlink(f.ctx, 2)
	f.must(err)
	want(t, "that of the account", f.login(f.through("wx2", "u", "s6")).User.Nickname, "小红")
}

func tellLinkedAgain(t *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.RecordEvents(true)
	_, err := f.TellAgain(f.ctx, 0, 10)
	f.must(err)
	next := f.next(2)
	want(t, "into whom", next.Into, 1)
	wantTypes(t, f.accept(1), storage.EventUpdated)
	wantTypes(t, f.accept(2), storage.EventMerged)
	f.wantLink(2, storage.LinkComplete, 1)
	f.wantSessions(1, "s1", "s2")
}

func linkAtTheSameTime(t *testing.T, f *fixture) {
	const apps = 6
	var mu sync.Mutex
	accounts := map[int64]bool{}
	together(t, 4*apps, func(i int) error {
		in, err := f.Login(f.ctx, f.through(fmt.Sprint("wx", i%apps), "u", numberedID("s", i)))
		mu.Lock()
		accounts[in.Account] = true
		mu.Unlock()
		return err
	})
	want(t, "accounts", len(accounts), apps)
	for i := range apps {
		in := f.login(f.through(fmt.Sprint("wx", i), "u", numberedID("last", i)))
		want(t, "the user in the end", in.User.ID, 1)
	}
	for id := int64(2); id <= apps; id++ {
		f.wantLink(id, storage.LinkComplete, 1)
		f.wantSessions(id)
	}
	f.wantUsers(0, 100, 1, 2, 3, 4, 5, 6)
}

func linkedBeginsNothing(_ *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	_, err := f.BeginSession(f.ctx, f.session(2, "s3"), 0)
	f.wantErr("a session of an account that is linked", err, storage.ErrNotFound)
}

func linkedOutcome(_ *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	l := f.through("wx2", "u", "s2")
	l.Outcome = storage.Outcome{Name: "hash", Life: time.Minute}
	f.login(l)
	again, err := f.LoginOf(f.ctx, "hash")
	f.must(err)
	f.wantUser("the login elsewhere", again, 1, 2)
	_, err = f.Unlink(f.ctx, 2)
	f.must(err)
	_, err = f.LoginOf(f.ctx, "hash")
	f.wantErr("the login whose session ended", err, storage.ErrNotFound)
}

func linkManySessions(t *testing.T, f *fixture) {
	const many = 300 // more than end in one transaction
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	for i := range many {
		f.login(withoutLink(f.through("wx2", "u", numberedID("s", i))))
	}
	f.login(f.through("wx2", "u", "last"))
	f.accept(1)
	f.must(f.next(2).Told(f.ctx))
	ended, err := f.next(2).Linked(f.ctx, storage.Linking{})
	f.must(err)
	want(t, "sessions that ended", len(ended), many)
	f.wantLink(2, storage.LinkComplete, 1)
	for i := range many {
		f.login(f.through("wx2", "u", numberedID("t", i)))
	}
	ended, err = f.Unlink(f.ctx, 2)
	f.must(err)
	want(t, "sessions that ended", len(ended), many)
	f.wantSessions(1, "s1")
}

func linkForeign(t *testing.T, f *fixture) {
	f.login(f.through("wx1", "u", "s1"))
	l := f.through("wx2", "u", "s2")
	l.Link.Foreign = true
	in := f.login(l)
	want(t, "revocations", len(in.Ended), 1)
	want(t, "the scope", in.Ended[0].Scope, storage.ScopeForeign)
	want(t, "of whom", in.Ended[0].ID, "2")
}

func linkUntold(_ *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.wantLink(2, storage.LinkPending, 1)
	f.RecordEvents(false)
	f.wantUser("the next login", f.login(f.through("wx2", "u", "s3")), 1, 2)
	f.wantSessions(1, "s1", "s3")
}

func linkNotErased(t *testing.T, f *fixture) {
	in := func(app, sid string) storage.LoginResult {
		l := f.through(app, "u", sid)
		l.TakeBack = true
		return f.login(l)
	}
	ask := func(id int64) {
		t.Helper()
		_, err := f.PutDeletion(f.ctx, storage.Deletion{UserID: id, At: f.now().Add(time.Hour)})
		f.must(err)
	}
	f.RecordEvents(true)
	in("wx1", "s1")
	f.accept(1)
	in("wx2", "s2")
	ask(2)
	f.accept(2) // of a link that waited before
	f.wantLink(2, storage.LinkNone, 0)
	in("wx1", "s3")
	f.wantLink(2, storage.LinkNone, 0)
	want(t, "taken back", in("wx2", "s4").TookBack, true)
	f.wantLink(2, storage.LinkPending, 1)
	ask(1)
	in("wx3", "s5")
	f.wantLink(3, storage.LinkNone, 0)
	want(t, "taken back by the account that waits", in("wx2", "s6").TookBack, true)
	f.accept(2)
	in("wx3", "s7")
	f.accept(3)
	f.wantLink(3, storage.LinkComplete, 1)
	_, err := f.PutDeletion(f.ctx, storage.Deletion{UserID: 3, At: f.now()})
	f.wantErr("a deletion of an account", err, storage.ErrLinked)
	ask(1)
	want(t, "taken back through another mini-program", in("wx3", "s8").TookBack, true)
}
