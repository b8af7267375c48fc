// Package credential knows where the token of a request may stand: the places that authn.token_from lists and a query
// parameter. It reads them, and cuts them from what a service gets. It verifies nothing.
package credential

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"wxgate/gateway/header"
)

// Kind is what a place is.
type Kind string

// The kinds of places. A query parameter is a key of its route, the others are entries of authn.token_from.
const (
	Header      Kind = "header"
	Cookie      Kind = "cookie"
	Subprotocol Kind = "subprotocol" // of a WebSocket: the offer lists the name, and the token behind it
	Query       Kind = "query"
)

// Place is where a token may stand.
type Place struct {
	Kind Kind
	Name string
}

// String is the place as an operator reads it, such as "header X-Token".
func (p Place) String() string { return string(p.Kind) + " " + p.Name }

// maxNameBytes bounds the name of a place.
const maxNameBytes = 64

// errName is a name that its place cannot have.
var errName = errors.New("is not a name of 1 to 64 letters, digits, '-', '_' or '.'")

// ParsePlace reads an entry of authn.token_from: the exact name of a header, "cookie:NAME" or "subprotocol:NAME".
func ParsePlace(entry string) (Place, error) {
	p := Place{Header, entry}
	if kind, name, found := strings.Cut(entry, ":"); found {
		if p = (Place{Kind(kind), name}); p.Kind != Cookie && p.Kind != Subprotocol {
			return Place{}, fmt.Errorf("%q is not the name of a header, cookie:NAME or subprotocol:NAME", entry)
		}
	}
	if err := CheckName(p.Name); err != nil {
		return Place{}, err
	}
	return p, nil
}

// CheckName returns an error unless a text can be the name of a header, cookie, subprotocol and query parameter alike.
func CheckName(name string) error {
	for i := range len(name) {
		b := name[i]
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		if !letter && !(b >= '0' && b <= '9') && strings.IndexByte("-_.", b) < 0 {
			return fmt.Errorf("%q %w", name, errName)
		}
	}
	if name == "" || len(name) > maxNameBytes {
		return fmt.Errorf("%q %w", name, errName)
	}
	return nil
}

// Places are the entries of authn.token_from, prepared for requests.
type Places struct {
	headers   []string // names as they are configured
	folded    []string // the same, folded
	cookies   []string
	protocols []string
}

// NewPlaces prepares entries that are valid.
func NewPlaces(entries []string) *Places {
	p := new(Places)
	for _, entry := range entries {
		switch place, _ := ParsePlace(entry); place.Kind {
		case Header:
			p.headers, p.folded = append(p.headers, place.Name), append(p.folded, header.Fold(place.Name))
		case Cookie:
			p.cookies = append(p.cookies, place.Name)
		case Subprotocol:
			p.protocols = append(p.protocols, place.Name)
		case Query: // never in the list
		}
	}
	return p
}

// AuthorizationAlone reports whether Authorization is the only place.
func (p *Places) AuthorizationAlone() bool {
	return len(p.cookies)+len(p.protocols) == 0 && slices.Equal(p.folded, []string{"authorization"})
}

// Cookies are the names of the cookies among the places.
func (p *Places) Cookies() []string { return p.cookies }

// ClassOf returns header.ClassToken for a header that is a place, by its exact name in any case; header.ClassIdentity
// for another spelling of one, which a service could read instead; and header.ClassSubprotocols for the offer of
// subprotocols if a token may stand there.
func (p *Places) ClassOf(name []byte) header.Class {
	for i, folded := range p.folded {
		switch {
		case !header.Folded(name, folded):
		case strings.EqualFold(p.headers[i], string(name)):
			return header.ClassToken
		default:
			return header.ClassIdentity
		}
	}
	if len(p.protocols) > 0 && header.Folded(name, "sec-websocket-protocol") {
		return header.ClassSubprotocols
	}
	return 0
}
