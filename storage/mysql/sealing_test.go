package mysql

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/secret"
	"wxgate/storage"
)

const otherKey = secret.Text("b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q=")

// openWith opens a database with some keys.
func openWith(t *testing.T, dsn string, keys ...secret.Text) (*Store, error) {
	t.Helper()
	cfg := configOf(dsn)
	cfg.EncryptionKeys = keys
	s, err := Open(t.Context(), cfg, prometheus.NewRegistry(), quiet(), time.Now)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func mustOpenWith(t *testing.T, dsn string, keys ...secret.Text) *Store {
	t.Helper()
	s, err := openWith(t, dsn, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantRefusedKeys wants a key to be refused, at a start and by a look.
func wantRefusedKeys(t *testing.T, dsn string, key secret.Text) {
	t.Helper()
	if _, err := openWith(t, dsn, key); !errors.Is(err, storage.ErrWrongKey) {
		t.Errorf("got %v, want ErrWrongKey", err)
	}
	wantInspected(t, dsn, key, "a signing key", storage.ErrWrongKey)
}

// wantInspected wants a look with an encryption key and a signing key to find an error, or none.
func wantInspected(t *testing.T, dsn string, key secret.Text, signing string, want error) (found Inspection) {
	t.Helper()
	cfg := configOf(dsn)
	cfg.EncryptionKeys = storage.EncryptionKeys{key}
	found, err := Inspect(t.Context(), cfg, [][]byte{[]byte(signing)})
	if !errors.Is(err, want) {
		t.Errorf("inspecting: got %v, want %v", err, want)
	}
	return found
}

func join(t *testing.T, s *Store, host string) error {
	t.Helper()
	return storage.JoinGateways(t.Context(), s.Store, host, [][]byte{[]byte("a signing key")})
}

func login(t *testing.T, s *Store, openID string) {
	t.Helper()
	_, err := s.Login(t.Context(), loginAs(openID, "session of "+openID))
	mustDo(t, err)
}

// TestAnotherKeyIsRefused from the moment on in which something is sealed, or a gateway is there; until then a mistyped one
// can be corrected.
func TestAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	wantInspected(t, dsn, testKey, "any", nil) // no table
	mustDo(t, mustOpenWith(t, dsn, otherKey).Close())
	s := mustOpenWith(t, dsn, testKey)
	late := mustOpenWith(t, dsn, otherKey)
	wantInspected(t, dsn, otherKey, "any", nil)
	mustDo(t, join(t, s, "gateway-1"))
	if err := join(t, late, "gateway-2"); !errors.Is(err, storage.ErrOtherSealing) {
		t.Errorf("another key beside a gateway: %v, want ErrOtherSealing", err)
	}
	wantInspected(t, dsn, otherKey, "a signing key", storage.ErrOtherSealing)
	wantInspected(t, dsn, testKey, "another", storage.ErrOtherKeys)
	wantInspected(t, dsn, testKey, "a signing key", nil)
	login(t, s, "alice")
	if _, err := late.Login(t.Context(), loginAs("bob", "s2")); !errors.Is(err, storage.ErrWrongKey) {
		t.Errorf("a login with a key that came too late: %v, want ErrWrongKey", err)
	}
	wantRefusedKeys(t, dsn, otherKey)
	mustDo(t, storage.LeaveGateways(t.Context(), s.Store))
	wantRefusedKeys(t, dsn, otherKey)
	found := wantInspected(t, dsn, testKey, "another", nil)
	if found.Schema != found.Known || found.Version == "" || found.Galera || found.Skew.Abs() > time.Minute || !slices.Equal(found.AppIDs, []string{"wx1"}) {
		t.Errorf("inspecting found %+v", found)
	}
}

// TestALookFindsADatabaseThatWasNotFilledToTheEnd, which no gateway serves.
func TestALookFindsADatabaseThatWasNotFilledToTheEnd(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s := mustOpenWith(t, dsn, testKey)
	fill, err := storage.BeginFill(t.Context(), s.Store, "store x")
	mustDo(t, err)
	defer fill.Stop()
	wantInspected(t, dsn, otherKey, "any", storage.ErrIncomplete)
	mustDo(t, fill.End(t.Context(), "x"))
	wantInspected(t, dsn, testKey, "any", nil)
}

// TestAKeyIsReplacedBesideOtherGateways in the order of the manual, and in no other.
func TestAKeyIsReplacedBesideOtherGateways(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	one := mustOpenWith(t, dsn, testKey)
	mustDo(t, join(t, one, "gateway-1"))
	login(t, one, "alice")
	two := mustOpenWith(t, dsn, otherKey, testKey)
	if err := join(t, two, "gateway-2"); !errors.Is(err, storage.ErrOtherSealing) || !strings.Contains(err.Error(), "the gateway on gateway-1 does not have the first of our keys") {
		t.Errorf("a first key that another gateway does not have: %v", err)
	}
	mustDo(t, two.Close())

	next := mustOpenWith(t, dsn, testKey, otherKey) // the refused one has noted nothing
	mustDo(t, storage.LeaveGateways(t.Context(), one.Store))
	mustDo(t, one.Close())
	mustDo(t, mustOpenWith(t, dsn, testKey).Close())
	mustDo(t, join(t, next, "gateway-1"))
	two = mustOpenWith(t, dsn, otherKey, testKey)
	mustDo(t, join(t, two, "gateway-2"))
	login(t, two, "bob")
	if far, err := two.Reseal(t.Context()); !errors.Is(err, storage.ErrOtherSealing) || !strings.Contains(err.Error(), "the gateway on gateway-1 seals with another one") {
		t.Errorf("a reseal while another gateway seals with the old key: %+v, %v", far, err)
	}
	wantRefusedKeys(t, dsn, otherKey)
	login(t, next, "carol")
	mustDo(t, storage.LeaveGateways(t.Context(), next.Store))
	mustDo(t, next.Close())

	next = mustOpenWith(t, dsn, otherKey, testKey)
	mustDo(t, join(t, next, "gateway-1"))
	far, err := two.Reseal(t.Context())
	if err != nil || !far.Done || far.Sealed != 2 || far.Unreadable != 0 {
		t.Errorf("a reseal found %+v, %v", far, err)
	}
	alone := mustOpenWith(t, dsn, otherKey)
	for id := range int64(3) {
		if keys, err := alone.SessionKeys(t.Context(), id+1); err != nil || len(keys) != 1 {
			t.Errorf("the session_keys of user %d with the new key alone: %d, %v", id+1, len(keys), err)
		}
	}
	wantRefusedKeys(t, dsn, testKey)
}
