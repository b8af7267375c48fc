package push

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// Store lets gateways that share a store, and a process after another, deliver a message once; package storage documents
// its method.
type Store interface {
	ChangeTemporary(ctx context.Context, name string, change func(value []byte) (next []byte, life time.Duration, err error)) error
}

// What an attempt may take, of the 5 s after which WeChat sends a message again, less the network.
const (
	claimTimeout  = 500 * time.Millisecond // for the store to give a claim, and again to end it
	answerTimeout = 4500 * time.Millisecond
	claimLife     = answerTimeout - claimTimeout + 300*time.Millisecond // covers the delivery, and is over when WeChat comes again
)

// The states of a message, as the store has them; behind stateDelivering is the token of its claim.
const (
	stateDelivering = "delivering "
	stateDelivered  = "delivered"
)

// The reasons for which a message is not ours to deliver.
var (
	errDelivering = errors.New("another gateway is delivering the message")
	errDelivered  = errors.New("the message was delivered")
	errNotOurs    = errors.New("the claim is over")
)

// claim is a message that this gateway may deliver, and no other.
type claim struct {
	store Store
	name  string
	ours  string // the state while we deliver it
}

func newClaim(store Store, id string) claim {
	sum := sha256.Sum256([]byte(id))
	return claim{store, "push " + hex.EncodeToString(sum[:]), stateDelivering + rand.Text()}
}

// take claims the message; a repetition finds its own claim. A store that does not answer refuses nothing: then memory alone
// decides, since WeChat would give a message up after three attempts.
func (c claim) take(ctx context.Context) error {
	if c.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	err := c.store.ChangeTemporary(ctx, c.name, func(state []byte) ([]byte, time.Duration, error) {
		switch string(state) {
		case "", c.ours:
			return []byte(c.ours), claimLife, nil
		case stateDelivered:
			return nil, 0, errDelivered
		}
		return nil, 0, errDelivering
	})
	if errors.Is(err, errDelivering) || errors.Is(err, errDelivered) {
		return err
	}
	return nil
}

// finish notes that the message was delivered, whoever claims it by now, or gives our claim up.
func (c claim) finish(ctx context.Context, delivered bool) {
	if c.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	_ = c.store.ChangeTemporary(ctx, c.name, func(state []byte) ([]byte, time.Duration, error) {
		switch {
		case delivered:
			return []byte(stateDelivered), rememberFor, nil
		case string(state) != c.ours:
			return nil, 0, errNotOurs
		}
		return nil, 0, nil
	})
}
