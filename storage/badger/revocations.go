package badger

import (
	"context"
	"fmt"

	"wxgate/storage"
)

// Revoke records the revocations in one transaction and returns them with their Seq.
func (s *Store) Revoke(ctx context.Context, revoked ...storage.Revocation) ([]storage.Revocation, error) {
	var numbered []storage.Revocation
	err := s.write(ctx, opRevoke, func(v *view) (err error) {
		numbered, err = revoke(v, revoked)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("revoking: %w", err)
	}
	return numbered, nil
}

// Revocations returns those with a Seq above after that are not forgotten yet, in the order of their commit, whatever the
// clock says of their Until. A number is taken and committed by one goroutine, so a reader that goes on from the last Seq
// it saw misses none.
func (s *Store) Revocations(ctx context.Context, after uint64) ([]storage.Revocation, error) {
	var found []storage.Revocation
	err := s.read(ctx, opRevocations, func(v *view) (err error) {
		found, err = revocationsAfter(v, after)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading revocations: %w", err)
	}
	return found, nil
}

func revocationsAfter(v *view, after uint64) ([]storage.Revocation, error) {
	newest, err := v.counters()
	if err != nil || newest.Revocations <= after {
		return nil, err // a reader that follows asks four times a second, nearly always for nothing
	}
	var found []storage.Revocation
	for _, key := range v.keys(string(prefixRevoked), numbered(prefixRevoked, after+1)) {
		var r storage.Revocation
		if err := v.getJSON(key, &r); err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}

// revoke gives each revocation the next Seq and records it.
func revoke(v *view, revoked []storage.Revocation) ([]storage.Revocation, error) {
	var recorded []storage.Revocation
	for _, r := range revoked {
		counted, err := v.count(func(c *counters) { c.Revocations++ })
		if err != nil {
			return nil, err
		}
		r.Seq = counted.Revocations
		if err := v.putJSON(numbered(prefixRevoked, r.Seq), r); err != nil {
			return nil, err
		}
		recorded = append(recorded, r)
	}
	return recorded, nil
}
