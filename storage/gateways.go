package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A gateway says every half minute that it is there, and which keys it has for tokens. Another one whose keys do not fit is
// refused: its users would be logged out by every second request.

const (
	gatewayLife  = 90 * time.Second // how long a gateway counts that was killed
	gatewaysRead = 1000             // at most
	gatewayLock  = "gateways"       // written by all of them, so that two that start at once see each other
)

// beingFilled is the value of gatewayLock once a store was begun to be filled, so that a gateway is refused that has opened
// the store before. One that opens it later sees the mark.
const beingFilled = "filled"

// ErrServing refuses to fill a store that a gateway has open.
var ErrServing = errors.New("a gateway is running on this store")

// ErrOtherKeys refuses signing keys that do not fit those of another gateway.
var ErrOtherKeys = errors.New("authn.keys or authn.issuer does not fit that of another gateway on this store")

// ErrOtherSealing refuses encryption keys that do not fit those of another gateway: one would not open what the other seals.
var ErrOtherSealing = errors.New("storage.encryption_key does not fit that of another gateway on this store")

// gateway is what one says of itself.
type gateway struct {
	Host string     `json:"host"`
	Keys [][]string `json:"keys"` // fingerprints of each; the first signs
	// Seals are the checks of its encryption keys, of which the first seals.
	Seals []string `json:"seals"`

	left time.Duration // for how long it counts
}

func newGateway(sealer *Sealer, host string, keys [][]byte) gateway {
	g := gateway{Host: host[:min(len(host), 255)], Seals: sealer.Checks()}
	for _, material := range keys {
		g.Keys = append(g.Keys, sealer.fingerprints(material))
	}
	return g
}

// GatewayPrefix begins the names of the temporary values by which gateways say that they are there.
const GatewayPrefix = "gateway "

func gatewayName(epoch string) string { return GatewayPrefix + epoch }

// JoinGateways says that this process serves tokens with these keys, the first of which signs, until a minute and a half
// from now or LeaveGateways. It returns ErrIncomplete if the store was begun to be filled since it was opened, ErrOtherKeys
// while another process is there that would refuse our tokens, or whose tokens we would refuse, and ErrOtherSealing while
// one would not open what the other seals. Only hashes of the keys are kept: those of signing keys under the encryption key.
func JoinGateways(ctx context.Context, s *Store, host string, keys [][]byte) error {
	us := newGateway(s.driver.Sealer(), host, keys)
	text, err := json.Marshal(us)
	if err != nil {
		return err
	}
	_, err = write(ctx, s, opJoinGateways, func(w Writer) (struct{}, error) {
		lock, err := temporaryOrNil(w, gatewayLock)
		if err == nil && string(lock) == beingFilled {
			err = fmt.Errorf("%w: run the same command again, to the end", ErrIncomplete)
		}
		if err != nil {
			return struct{}{}, err
		}
		if err := us.wantOthers(w, gatewayName(s.Epoch())); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, errors.Join(putTemporary(w, gatewayLock, nil, gatewayLife), putTemporary(w, gatewayName(s.Epoch()), text, gatewayLife))
	})
	return err
}

// CheckGateways returns the ErrOtherKeys or ErrOtherSealing with which JoinGateways would refuse a gateway with these keys, and
// changes nothing.
func CheckGateways(r Reader, sealer *Sealer, keys [][]byte) error {
	return newGateway(sealer, "", keys).wantOthers(r, "")
}

// LeaveGateways says that this process is gone.
func LeaveGateways(ctx context.Context, s *Store) error {
	return dropTemporary(ctx, s, gatewayName(s.Epoch()))
}

// wantOthers refuses our keys if they do not fit those of another gateway.
func (g gateway) wantOthers(r Reader, own string) error {
	others, err := otherGateways(r, own)
	for _, other := range others {
		if err := g.wantSealingOf(other); err != nil {
			return err
		}
		if err := g.wantKeysOf(other); err != nil {
			return err
		}
	}
	return err
}

// otherGateways are those that are there, or were killed a moment ago.
func otherGateways(r Reader, own string) (others []gateway, err error) {
	names, err := r.Temporaries(GatewayPrefix, gatewaysRead)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, left, err := r.Temporary(name)
		if name == own || errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		other := gateway{left: left}
		if err := json.Unmarshal(text, &other); err != nil || len(other.Seals) == 0 {
			return nil, fmt.Errorf("a gateway: %w", errors.Join(ErrDamaged, err))
		}
		others = append(others, other)
	}
	return others, nil
}

// wantSealingOf refuses a first encryption key that another gateway does not have, and the other way around.
func (g gateway) wantSealingOf(other gateway) error {
	const advice = "list a new key second on every gateway before it becomes the first (a gateway that was killed counts for 90 s)"
	switch {
	case !slices.Contains(other.Seals, g.Seals[0]):
		return fmt.Errorf("%w: the gateway on %s does not have the first of our keys, with which we seal; %s", ErrOtherSealing, other.Host, advice)
	case !slices.Contains(g.Seals, other.Seals[0]):
		return fmt.Errorf("%w: we do not have the first of the keys of the gateway on %s, with which it seals; %s", ErrOtherSealing, other.Host, advice)
	}
	return nil
}

// wantOneSealingKey refuses to seal everything anew while another gateway goes on sealing with another key.
func wantOneSealingKey(r Reader, own, first string) error {
	others, err := otherGateways(r, own)
	for _, other := range others {
		if other.Seals[0] != first {
			return fmt.Errorf("%w: the gateway on %s seals with another one; make the new key the first on every gateway, and run "+
				"`wxgate store reseal` again", ErrOtherSealing, other.Host)
		}
	}
	return err
}

func (g gateway) wantKeysOf(other gateway) error {
	const advice = "give every gateway the same keys; to add one, list it second on all of them before it becomes the first; " +
		"to replace all of them at once, stop every gateway first (one that was killed counts for 90 s)"
	switch {
	case !other.verifies(g):
		return fmt.Errorf("%w: the gateway on %s would refuse our tokens, since it does not have the first of our keys; %s", ErrOtherKeys, other.Host, advice)
	case !g.verifies(other):
		return fmt.Errorf("%w: we would refuse the tokens of the gateway on %s, whose first key is none of ours; %s", ErrOtherKeys, other.Host, advice)
	}
	return nil
}

// verifies reports whether one of the keys is that with which another gateway signs.
func (g gateway) verifies(signer gateway) bool {
	return len(signer.Keys) > 0 && slices.ContainsFunc(g.Keys, func(key []string) bool {
		return slices.ContainsFunc(key, func(fingerprint string) bool { return slices.Contains(signer.Keys[0], fingerprint) })
	})
}

// barGateways refuses a store on which a gateway is running, and lets none join that has it open.
func barGateways(ctx context.Context, s *Store) error {
	_, err := write(ctx, s, opFill, func(w Writer) (struct{}, error) {
		if _, err := temporaryOrNil(w, gatewayLock); err != nil { // which locks it, as joining does
			return struct{}{}, err
		}
		others, err := otherGateways(w, "")
		if err != nil {
			return struct{}{}, err
		}
		if len(others) > 0 {
			return struct{}{}, fmt.Errorf("%w, on %s: stop every gateway first; if that one was killed, wait %d s",
				ErrServing, others[0].Host, others[0].left/time.Second+1)
		}
		return struct{}{}, putTemporary(w, gatewayLock, []byte(beingFilled), gatewayLife)
	})
	return err
}
