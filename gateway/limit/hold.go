package limit

// Hold is what one request has taken of its client's share, at most one of each Kind. One goroutine at a time uses it;
// whoever takes must give back with Close, or Move it to somebody who does. The zero Hold takes nothing: it
// is nobody's.
type Hold struct {
	ledger *Ledger
	hash   uint64
	client Client
	held   uint8 // a bit for each Kind
	nth    int32 // of its client's requests
}

// Client returns whose Hold it is.
func (h *Hold) Client() Client { return h.client }

// Take takes one of a Kind, and reports whether the client had fewer than most of them; 0 is no bound. To take what is
// held already changes nothing.
func (h *Hold) Take(k Kind, most int) bool {
	if h.ledger == nil || h.held&(1<<k) != 0 {
		return true
	}
	n, within := h.ledger.take(h.client, h.hash, k, most)
	if !within {
		return false
	}
	if h.held |= 1 << k; k == Requests {
		h.nth = n
	}
	return true
}

// Requests returns how many requests the client had when this one was taken, itself included; 0 when it was not.
func (h *Hold) Requests() int { return int(h.nth) }

// Close gives everything back.
func (h *Hold) Close() {
	if h.held != 0 {
		h.ledger.give(h.client, h.hash, h.held)
		h.held = 0
	}
}

// Move takes one of a Kind out of h, and makes it the whole of another Hold.
func (h *Hold) Move(k Kind) Hold {
	moved := *h
	moved.held &= 1 << k
	h.held &^= moved.held
	return moved
}
