package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// Copied is what a copy of a data set has done.
type Copied struct {
	Records    map[string]int64 `json:"records"`                  // of the source, by kind
	Users      int64            `json:"users"`                    // of them, those who are not erased
	Checksum   string           `json:"checksum"`                 // over id, appid and openid of these, equal on both sides
	Differed   int64            `json:"differed"`                 // users whose record in the target was another, and was replaced
	DifferedID []int64          `json:"differed_users,omitempty"` // the first of them
	Erased     int64            `json:"erased"`                   // users who were erased in the source since the last copy
	Unreadable int64            `json:"unreadable"`               // secrets that no key of the source opens, which were left out
}

const (
	toldPage = 500 // users with events that are looked at in one go
	maxNamed = 20  // users who are named
)

// Copy copies the data set of one store into another, which takes its id, so that tokens keep working. Secrets are opened
// with the keys of from and sealed with the first of to. The target must be empty, or hold an earlier copy, also an
// interrupted one, on which no gateway has started: what the source has done since is added then, erasures included.
// Until the copy is complete, Complete refuses the target. ErrNotEmpty is a target of another data set, or one that has
// gone on by itself. tell is called with the number of records that are done.
//
// The source may be in use. What it does meanwhile is not in the copy; a copy of a database that nobody writes is whole.
// Temporary values, such as leases, are not copied.
func Copy(ctx context.Context, from, to *Store, tell func(records int64)) (Copied, error) {
	c := &copier{from: from, to: to, tell: tell, sum: sha256.New(), done: Copied{Records: map[string]int64{}}}
	defer func() {
		if c.fill != nil {
			c.fill.Stop()
		}
	}()
	err := from.Snapshot(ctx, func(r Record) error { return c.take(ctx, r) })
	if err == nil {
		err = c.flush(ctx)
	}
	if err == nil {
		err = c.dropTold(ctx)
	}
	if err == nil {
		err = c.verify(ctx)
	}
	if err == nil {
		err = c.fill.End(ctx, unservedCopy+c.header.StoreID)
	}
	return c.done, err
}

// copier copies one data set.
type copier struct {
	from, to *Store
	tell     func(records int64)
	header   Header
	fill     *Fill // of the target, once it was begun
	again    bool  // the target has a part of the source already
	batch    Batch // of one kind
	copied   int64
	sum      hash.Hash // of the users
	done     Copied
}

// take takes the next record of the source.
func (c *copier) take(ctx context.Context, r Record) error {
	if r.Kind == KindHeader {
		if err := r.Decode(&c.header); err != nil {
			return err
		}
		return c.begin(ctx)
	}
	if len(c.batch.Records) > 0 && c.batch.Records[0].Kind != r.Kind {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	if !c.batch.Add(r) {
		return nil
	}
	return c.flush(ctx)
}

// begin looks whether the target may take this data set, and marks it.
func (c *copier) begin(ctx context.Context) error {
	if err := c.from.Complete(); err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	c.header.StoreID = c.from.ID()
	if err := c.mark(ctx, fromStore+c.header.StoreID); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	ours := c.header
	ours.KeyChecks = nil // secrets are sealed anew
	header, err := NewRecord(KindHeader, ours)
	if err != nil {
		return err
	}
	return c.to.Load(ctx, []Record{header})
}

// mark marks the target, which may be an earlier copy on which no gateway has started.
func (c *copier) mark(ctx context.Context, source string) (err error) {
	switch id := c.to.driver.ID(); {
	case id == c.header.StoreID:
		return fmt.Errorf("a gateway has served from it since it was copied, and what it did would be lost; empty it, or copy from there: %w", ErrNotEmpty)
	case id == unservedCopy+c.header.StoreID, isFilledFrom(id, source):
		c.again = true
		c.fill, err = beginFill(ctx, c.to, source, func() error { return nil })
	default:
		c.fill, err = BeginFill(ctx, c.to, source)
	}
	return err
}

// flush copies the batch, whose records are of one kind.
func (c *copier) flush(ctx context.Context) (err error) {
	if len(c.batch.Records) == 0 {
		return nil
	}
	kind := c.batch.Records[0].Kind
	switch kind {
	case KindUser:
		err = c.prepareUsers(ctx)
	case KindSecret:
		c.sealAnew()
	}
	if err == nil {
		err = c.to.Load(ctx, c.batch.Records)
	}
	if err != nil {
		return err
	}
	c.done.Records[kind.String()] += int64(len(c.batch.Records))
	c.copied += int64(len(c.batch.Records))
	c.batch.Clear()
	c.tell(c.copied)
	return nil
}

// prepareUsers adds users to the checksum, and settles what a target that has them already would not take over.
func (c *copier) prepareUsers(ctx context.Context) error {
	users := make([]UserRecord, len(c.batch.Records))
	for i, r := range c.batch.Records {
		if err := r.Decode(&users[i]); err != nil {
			return err
		}
		c.done.Users += addToSum(c.sum, users[i])
	}
	if !c.again {
		return nil
	}
	type changes struct{ differed, erased []int64 }
	changed, err := write(ctx, c.to, opLoad, func(w Writer) (found changes, err error) {
		expected := make([]User, len(users))
		for i, u := range users {
			expected[i] = u.User
		}
		if err := w.ExpectUsers(expected); err != nil {
			return found, err
		}
		for _, u := range users {
			old, err := w.User(u.ID)
			switch {
			case errors.Is(err, ErrNotFound):
				continue
			case err != nil:
				return found, err
			case u.Erased:
				found.erased = append(found.erased, u.ID)
				err = eraseRecords(w, old)
			case old != u.User:
				found.differed = append(found.differed, u.ID)
			}
			if err != nil {
				return found, err
			}
		}
		return found, nil
	})
	c.done.Erased += int64(len(changed.erased))
	c.done.Differed += int64(len(changed.differed))
	c.done.DifferedID = append(c.done.DifferedID, changed.differed[:min(len(changed.differed), maxNamed-len(c.done.DifferedID))]...)
	return err
}

// addToSum adds a user who is not erased to a checksum, and returns how many that is.
func addToSum(sum hash.Hash, u UserRecord) int64 {
	if u.Erased {
		return 0
	}
	_, _ = fmt.Fprintf(sum, "%d %q %q\n", u.ID, u.AppID, u.OpenID)
	return 1
}

// sealAnew seals the secrets of the batch with the key of the target, and leaves out those that do not open.
func (c *copier) sealAnew() {
	kept := c.batch.Records[:0]
	for _, r := range c.batch.Records {
		plain, err := c.from.driver.Sealer().open(r.Name, r.Data)
		if err != nil {
			c.done.Unreadable++
			continue
		}
		kept = append(kept, Record{Kind: r.Kind, Name: r.Name, Data: c.to.driver.Sealer().seal(r.Name, plain)})
	}
	c.batch.Records = kept
}

// dropTold drops events of the target that the source has told about since an earlier copy.
func (c *copier) dropTold(ctx context.Context) error {
	for after := int64(0); c.again; {
		ids, err := c.to.UsersToTell(ctx, after, toldPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			_, err := read(ctx, c.from, opUsersToTell, func(r Reader) ([]Event, error) { return r.Events(id) })
			if errors.Is(err, ErrNotFound) {
				_, err = write(ctx, c.to, opLoad, func(w Writer) (struct{}, error) { return struct{}{}, w.PutEvents(id, nil) })
			}
			if err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
	return nil
}

// verify compares the users of the target, and how many records of the other kinds it has.
func (c *copier) verify(ctx context.Context) error {
	c.done.Checksum = hex.EncodeToString(c.sum.Sum(nil))
	users, sum, has := int64(0), sha256.New(), map[string]int64{}
	err := c.to.Snapshot(ctx, func(r Record) error {
		if has[r.Kind.String()]++; r.Kind != KindUser {
			return nil
		}
		var u UserRecord
		if err := r.Decode(&u); err != nil {
			return err
		}
		users += addToSum(sum, u)
		return nil
	})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.done.Checksum || users != c.done.Users {
		return fmt.Errorf("the target has %d users with the checksum %s, the source %d with %s: %w", users, got, c.done.Users, c.done.Checksum, ErrDamaged)
	}
	for kind, n := range c.done.Records {
		if has[kind] < n {
			return fmt.Errorf("the target has %d %s of %d: %w", has[kind], kind, n, ErrDamaged)
		}
	}
	return nil
}
