package badger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"time"
	"unicode/utf8"

	"wxgate/storage"
)

// Revocations returns at most limit of those with a Seq above after. A number is taken and committed by one goroutine, so
// a reader that goes on from the last Seq it saw misses none.
func (v *view) Revocations(after uint64, limit int) ([]storage.Revocation, error) {
	newest, err := v.counters()
	if err != nil || newest.Revocations <= after {
		return nil, err // a reader that follows asks four times a second, nearly always for nothing
	}
	found := make([]storage.Revocation, 0, min(uint64(limit), newest.Revocations-after))
	for r, err := range v.revocations(after) {
		if err != nil {
			return nil, err
		}
		if found = append(found, r); len(found) >= limit {
			break
		}
	}
	return found, nil
}

// revocations iterates over those with a Seq above after. An error is the last that is yielded.
func (v *view) revocations(after uint64) iter.Seq2[storage.Revocation, error] {
	return func(yield func(storage.Revocation, error) bool) {
		for payload, err := range v.payloads(string(prefixRevoked), numbered(prefixRevoked, after+1)) {
			var r storage.Revocation
			if err == nil {
				r, err = decodeRevocation(payload)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// decodeRevocation reads the JSON of a revocation. A start reads a million of them, so the form that json.Marshal gives
// them is read without encoding/json, in a tenth of the time.
func decodeRevocation(payload []byte) (r storage.Revocation, err error) {
	f := fields{rest: payload}
	r = storage.Revocation{
		Seq: f.number(`{"seq":`), Scope: scopeOf(f.text(`,"scope":`)), ID: string(f.text(`,"id":`)), From: f.time(`,"from":`), Until: f.time(`,"until":`),
	}
	if bytes.HasPrefix(f.rest, []byte(`,"before":`)) {
		r.Before = f.time(`,"before":`)
	}
	if bytes.HasPrefix(f.rest, []byte(`,"spare":`)) {
		r.Spare = f.time(`,"spare":`)
	}
	if f.otherForm || string(f.rest) != "}" {
		r = storage.Revocation{}
		if err := json.Unmarshal(payload, &r); err != nil {
			return r, fmt.Errorf("a record %q: %w: %w", string(prefixRevoked), storage.ErrDamaged, err)
		}
	}
	return r, nil
}

// fields reads the fields of a JSON object in a fixed order, without white space or escapes.
type fields struct {
	rest      []byte
	otherForm bool // it is not written like that
}

// number is at most 18 digits.
func (f *fields) number(lead string) (n uint64) {
	digits, ok := bytes.CutPrefix(f.rest, []byte(lead))
	size := 0
	for ; size < len(digits) && digits[size] >= '0' && digits[size] <= '9'; size++ {
		n = 10*n + uint64(digits[size]-'0')
	}
	f.otherForm = f.otherForm || !ok || size == 0 || size > 18 || size > 1 && digits[0] == '0'
	f.rest = digits[size:]
	return n
}

// text is that of a string of ASCII.
func (f *fields) text(lead string) []byte {
	value, ok := bytes.CutPrefix(f.rest, []byte(lead))
	if !ok || len(value) == 0 || value[0] != '"' {
		f.otherForm, f.rest = true, nil
		return nil
	}
	value = value[1:]
	for i, c := range value {
		switch {
		case c == '"':
			f.rest = value[i+1:]
			return value[:i]
		case c < ' ' || c == '\\' || c >= utf8.RuneSelf:
			f.otherForm = true
			return nil
		}
	}
	f.otherForm = true
	return nil
}

func (f *fields) time(lead string) (t time.Time) {
	err := t.UnmarshalText(f.text(lead))
	f.otherForm = f.otherForm || err != nil
	return t
}

// scopeOf is the scope of that name; the known ones take no memory.
func scopeOf(name []byte) storage.Scope {
	for _, known := range [...]storage.Scope{storage.ScopeSession, storage.ScopeToken, storage.ScopeUser, storage.ScopeForeign} {
		if string(name) == string(known) {
			return known
		}
	}
	return storage.Scope(name)
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
