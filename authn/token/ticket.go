package token

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// ticketMAC is how many bytes of an HMAC-SHA256 a ticket carries: half of them (RFC 2104 §5).
const ticketMAC = 16

// Ticket returns payload in hex with a proof that a gateway with these keys made it, for one purpose and for whoever holds a
// secret. It is good without being kept anywhere, so it has to say itself when it ends. Payload is not hidden.
func (r *Keyring) Ticket(purpose, holder string, payload []byte) string {
	return hex.EncodeToString(append(bytes.Clone(payload), r.signer.ticketMAC(purpose, holder, payload)...))
}

// OpenTicket returns the payload of a ticket, and reports whether one of the keys made it for that purpose and that holder.
func (r *Keyring) OpenTicket(purpose, holder, ticket string) (payload []byte, ok bool) {
	payload, mac, ok := splitTicket(ticket)
	if !ok {
		return nil, false
	}
	for _, k := range r.list {
		if k.seed != nil && hmac.Equal(mac, k.ticketMAC(purpose, holder, payload)) {
			return payload, true
		}
	}
	return nil, false
}

// TicketPayload is the payload of a ticket, whoever made it; nil: it is none.
func TicketPayload(ticket string) []byte {
	payload, _, _ := splitTicket(ticket)
	return payload
}

// splitTicket reads lower-case hex alone, so that a ticket has one spelling.
func splitTicket(ticket string) (payload, mac []byte, ok bool) {
	all, err := hex.DecodeString(ticket)
	if err != nil || len(all) <= ticketMAC || hex.EncodeToString(all) != ticket {
		return nil, nil, false
	}
	return all[:len(all)-ticketMAC], all[len(all)-ticketMAC:], true
}

// ticketMAC is over the length of each part, so that none can borrow bytes of another.
func (k key) ticketMAC(purpose, holder string, payload []byte) []byte {
	secret, err := hkdf.Key(sha256.New, k.seed, nil, "wxgate ticket v1", sha256.Size)
	if err != nil {
		panic(err) // only a length that HKDF cannot give is an error
	}
	mac := hmac.New(sha256.New, secret)
	for _, part := range [][]byte{[]byte(purpose), []byte(holder), payload} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil)[:ticketMAC]
}
