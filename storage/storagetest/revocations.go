package storagetest

import (
	"fmt"
	"testing"
	"time"

	"wxgate/storage"
)

func revocations() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"revocations are numbered from 1 in the order of commit": revokeInOrder,
		"a reader goes on from where it was":                     followFromCursor,
		"a revocation leaves when its time is long over":         revocationExpires,
		"a reader that follows 64 writers misses none":           followWriters,
		"a reader takes as many revocations as it wants":         takePieces,
		"revoking nothing is nothing":                            revokeNothing,
		"a revocation of a span in the future is kept for it":    revokeInTheFuture,
	}
}

// revocation is one that lasts for an hour.
func (f *fixture) revocation(scope storage.Scope, id string) storage.Revocation {
	return storage.Revocation{Scope: scope, ID: id, From: f.now(), Until: f.now().Add(time.Hour)}
}

// wantRevoked checks the ids of the revocations after a Seq.
func (f *fixture) wantRevoked(after uint64, want ...string) {
	f.t.Helper()
	found, err := f.Revocations(f.ctx, after, 1000)
	f.must(err)
	var got []string
	for _, r := range found {
		got = append(got, r.ID)
	}
	wantList(f.t, fmt.Sprint("revocations after ", after), got, want)
}

func revokeInOrder(t *testing.T, f *fixture) {
	a, b := f.revocation(storage.ScopeToken, "a"), f.revocation(storage.ScopeUser, "1")
	recorded, err := f.Revoke(f.ctx, a, b)
	f.must(err)
	a.Seq, b.Seq = 1, 2
	wantList(t, "recorded", recorded, []storage.Revocation{a, b})
	found, err := f.Revocations(f.ctx, 0, 1000)
	f.must(err)
	wantList(t, "found", found, recorded)
}

func followFromCursor(_ *testing.T, f *fixture) {
	for i := range 300 { // past a byte of the number
		_, err := f.Revoke(f.ctx, f.revocation(storage.ScopeToken, fmt.Sprint(i+1)))
		f.must(err)
	}
	f.wantRevoked(297, "298", "299", "300")
	f.wantRevoked(254, func() (ids []string) {
		for i := 255; i <= 300; i++ {
			ids = append(ids, fmt.Sprint(i))
		}
		return ids
	}()...)
	f.wantRevoked(300)
	f.wantRevoked(1 << 60)
}

func takePieces(t *testing.T, f *fixture) {
	for i := range 10 {
		_, err := f.Revoke(f.ctx, f.revocation(storage.ScopeToken, fmt.Sprint(i+1)))
		f.must(err)
	}
	for after, want := range map[uint64][]uint64{0: {1, 2, 3}, 3: {4, 5, 6}, 8: {9, 10}, 10: nil} {
		found, err := f.Revocations(f.ctx, after, 3)
		f.must(err)
		var seqs []uint64
		for _, r := range found {
			seqs = append(seqs, r.Seq)
		}
		wantList(t, fmt.Sprint("three revocations after ", after), seqs, want)
	}
}

func revocationExpires(t *testing.T, f *fixture) {
	short := f.revocation(storage.ScopeToken, "short")
	short.Until = f.now().Add(time.Minute)
	long := f.revocation(storage.ScopeToken, "long")
	long.Until = f.now().Add(3 * 24 * time.Hour)
	_, err := f.Revoke(f.ctx, short, long)
	f.must(err)
	f.pass(time.Hour)
	f.wantRevoked(0, "short", "long") // a day longer than needed
	f.pass(48 * time.Hour)
	f.wantRevoked(0, "long")
	f.pass(96 * time.Hour)
	f.wantRevoked(0)
	f.reopen()
	recorded, err := f.Revoke(f.ctx, f.revocation(storage.ScopeToken, "next"))
	f.must(err)
	want(t, "seq after all expired", recorded[0].Seq, 3)
}

func followWriters(t *testing.T, f *fixture) {
	const writers, each = 64, 10
	done := make(chan struct{})
	seen := make(chan []uint64)
	go func() { seen <- f.follow(done, writers*each) }()
	together(t, writers, func(i int) error {
		for n := range each {
			if _, err := f.Revoke(f.ctx, f.revocation(storage.ScopeToken, fmt.Sprint(i, n))); err != nil {
				return err
			}
		}
		return nil
	})
	close(done)
	seqs := <-seen
	want(t, "revocations seen", len(seqs), writers*each)
	for i, seq := range seqs {
		if seq != uint64(i+1) {
			t.Fatalf("revocation %d: got seq %d, want %d", i, seq, i+1)
		}
	}
}

// follow reads on from the last Seq until it saw want revocations, or, once done, a reading brings none.
func (f *fixture) follow(done <-chan struct{}, want int) (seqs []uint64) {
	var last uint64
	for len(seqs) < want {
		finished := isClosed(done) // asked before reading: what is committed by then must be read
		found, err := f.Revocations(f.ctx, last, 1000)
		if err != nil {
			f.t.Error(err)
			return seqs
		}
		for _, r := range found {
			last = r.Seq
			seqs = append(seqs, r.Seq)
		}
		if finished && len(found) == 0 {
			return seqs
		}
	}
	return seqs
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func revokeNothing(t *testing.T, f *fixture) {
	recorded, err := f.Revoke(f.ctx)
	f.must(err)
	want(t, "recorded", len(recorded), 0)
	f.wantRevoked(0)
}

func revokeInTheFuture(t *testing.T, f *fixture) {
	const year = 365 * 24 * time.Hour
	soon := f.revocation(storage.ScopeToken, "soon")
	soon.From = f.now().Add(time.Minute)
	lifted := f.revocation(storage.ScopeUser, "1") // a span of no length, which lifts a ban
	lifted.From, lifted.Until = f.now().Add(100*year), f.now().Add(100*year)
	always := f.revocation(storage.ScopeUser, "2")
	always.Until = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	recorded, err := f.Revoke(f.ctx, soon, lifted, always)
	f.must(err)
	f.reopen()
	found, err := f.Revocations(f.ctx, 0, 1000)
	f.must(err)
	wantList(t, "found", found, recorded)
	f.bench.Clock.Advance(99 * year)
	f.must(f.Forget(f.ctx))
	f.wantRevoked(0, "1", "2")
}
