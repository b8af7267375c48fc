package badger

import "wxgate/storage"

// Revocations returns those with a Seq above after. A number is taken and committed by one goroutine, so a reader that goes
// on from the last Seq it saw misses none.
func (v *view) Revocations(after uint64) ([]storage.Revocation, error) {
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

// Revoke gives the revocation the next Seq and records it.
func (v *view) Revoke(r storage.Revocation) (storage.Revocation, error) {
	counted, err := v.count(func(c *counters) { c.Revocations++ })
	if err != nil {
		return storage.Revocation{}, err
	}
	r.Seq = counted.Revocations
	return r, v.putJSON(numbered(prefixRevoked, r.Seq), r)
}

// DropRevocation deletes a revocation that a newer one makes needless.
func (v *view) DropRevocation(seq uint64) { v.delete(numbered(prefixRevoked, seq)) }
