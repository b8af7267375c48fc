package push

import (
	"context"
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

const (
	claimTimeout = time.Second                            // for the store, of the 5 s in which WeChat wants its answer
	claimLife    = deliveryTimeout + 300*time.Millisecond // ends before WeChat sends the message again, after 5 s
)

// The states of a message, as the store has them.
const (
	stateDelivering = "delivering"
	stateDelivered  = "delivered"
)

// The reasons for which a message is not ours to deliver.
var (
	errDelivering = errors.New("another gateway is delivering the message")
	errDelivered  = errors.New("the message was delivered")
)

// claim is a message that this gateway may deliver, and no other.
type claim struct {
	store Store
	name  string
}

func newClaim(store Store, id string) claim {
	sum := sha256.Sum256([]byte(id))
	return claim{store, "push " + hex.EncodeToString(sum[:])}
}

// take claims the message. A store that does not answer refuses nothing: then memory alone decides, since WeChat would
// give a message up after three attempts.
func (c claim) take(ctx context.Context) error {
	if c.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	err := c.store.ChangeTemporary(ctx, c.name, func(state []byte) ([]byte, time.Duration, error) {
		switch string(state) {
		case "":
			return []byte(stateDelivering), claimLife, nil
		case stateDelivering:
			return nil, 0, errDelivering
		}
		return nil, 0, errDelivered
	})
	if errors.Is(err, errDelivering) || errors.Is(err, errDelivered) {
		return err
	}
	return nil
}

// finish notes that the message was delivered, or gives it up.
func (c claim) finish(ctx context.Context, delivered bool) {
	if c.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	_ = c.store.ChangeTemporary(ctx, c.name, func([]byte) ([]byte, time.Duration, error) {
		if !delivered {
			return nil, 0, nil
		}
		return []byte(stateDelivered), rememberFor, nil
	})
}
