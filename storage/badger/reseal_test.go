package badger

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// Encryption keys.
const (
	firstKey  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	secondKey = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// sealedStore is a closed store whose secrets are sealed with firstKey: those of so many users, and of an erased one.
func sealedStore(t *testing.T, users int) storage.Config {
	t.Helper()
	cfg := configIn(t.TempDir())
	cfg.EncryptionKeys = storage.EncryptionKeys{firstKey}
	s, err := openFree(cfg, prometheus.NewRegistry(), quiet(), time.Now)
	must(t, err)
	for i := range users {
		u := login(t, s, fmt.Sprintf("oUser%d", i), fmt.Sprintf("s%d", i))
		must(t, s.SetPhone(t.Context(), u.ID, storage.Phone{Number: fmt.Sprint(i)}))
	}
	must(t, s.SaveServerToken(t.Context(), "wx1", "token", time.Now().Add(time.Hour)))
	gone := login(t, s, "oGone", "gone")
	_, err = s.EraseUser(t.Context(), gone.ID, time.Now(), time.Now().Add(time.Hour))
	must(t, err)
	must(t, s.Close())
	return cfg
}

func openWith(t *testing.T, cfg storage.Config, keys ...secret.Text) *Store {
	t.Helper()
	cfg.EncryptionKeys = keys
	s, err := openFree(cfg, prometheus.NewRegistry(), quiet(), time.Now)
	must(t, err)
	return s
}

// wantSecrets reads every secret of sealedStore.
func wantSecrets(t *testing.T, s *Store, users int) {
	t.Helper()
	for id := range int64(users) {
		phone, err := s.Phone(t.Context(), id+1)
		if must(t, err); phone.Number != fmt.Sprint(id) {
			t.Fatalf("the phone of user %d: got %q", id+1, phone.Number)
		}
		keys, err := s.SessionKeys(t.Context(), id+1)
		if must(t, err); len(keys) != 1 {
			t.Fatalf("user %d has %d session_keys, want 1", id+1, len(keys))
		}
	}
	token, _, err := s.ServerToken(t.Context(), "wx1")
	if must(t, err); token != "token" {
		t.Fatalf("the server token: got %q", token)
	}
}

func resealAll(t *testing.T, s *Store) (far storage.Resealed) {
	t.Helper()
	for !far.Done {
		var err error
		far, err = s.Reseal(t.Context())
		must(t, err)
	}
	return far
}

func TestAnEncryptionKeyIsReplaced(t *testing.T) {
	t.Parallel()
	const users = 250 // 501 secrets: three transactions
	cfg := sealedStore(t, users)
	s := openWith(t, cfg, secondKey, firstKey)
	wantSecrets(t, s, users)
	must(t, s.SetPhone(t.Context(), 1, storage.Phone{Number: "0"})) // sealed with the new key
	must(t, s.Close())
	for name, keys := range map[string]storage.EncryptionKeys{"the new key alone": {secondKey}, "the old key alone": {firstKey}} {
		alone := cfg
		alone.EncryptionKeys = keys
		t.Log(name)
		wantOpenError(t, alone, storage.ErrWrongKey, "secrets are sealed with 2 keys and storage.encryption_key has 1 of them")
	}
	s = openWith(t, cfg, secondKey, firstKey)
	if far, want := resealAll(t, s), (storage.Resealed{Seen: 2*users + 1, Sealed: 2 * users, Share: 1, Done: true}); far != want {
		t.Errorf("got %+v, want %+v", far, want)
	}
	if far, want := resealAll(t, s), (storage.Resealed{Seen: 2*users + 1, Share: 1, Done: true}); far != want {
		t.Errorf("once more: got %+v, want %+v", far, want)
	}
	must(t, s.Close())
	s = openWith(t, cfg, secondKey)
	wantSecrets(t, s, users)
	must(t, s.Close())
	cfg.EncryptionKeys = storage.EncryptionKeys{firstKey}
	wantOpenError(t, cfg, storage.ErrWrongKey, "is not the one the data were sealed with")
}

// TestAResealThatIsCutOffNeedsBothKeys: whether the process ends or starts anew in the middle.
func TestAResealThatIsCutOffNeedsBothKeys(t *testing.T) {
	t.Parallel()
	const users = 150
	cfg := sealedStore(t, users)
	s := openWith(t, cfg, secondKey, firstKey)
	first, err := s.Reseal(t.Context())
	if must(t, err); first.Done || first.Sealed == 0 {
		t.Fatalf("got %+v after one transaction", first)
	}
	must(t, s.Close())
	short := cfg
	short.EncryptionKeys = storage.EncryptionKeys{secondKey}
	wantOpenError(t, short, storage.ErrWrongKey, "secrets are sealed with 2 keys")
	s = openWith(t, cfg, secondKey, firstKey)
	wantSecrets(t, s, users)
	if far := resealAll(t, s); far.Sealed != 2*users+1-first.Sealed {
		t.Errorf("got %+v, want the rest sealed anew", far)
	}
	must(t, s.Close())
	s = openWith(t, cfg, secondKey)
	wantSecrets(t, s, users)
	must(t, s.Close())
}

func TestASecretThatNoKeyOpensIsCountedAndStays(t *testing.T) {
	t.Parallel()
	cfg := sealedStore(t, 1)
	s := openWith(t, cfg, secondKey, firstKey)
	spoil := func(w storage.Writer) error { return w.PutSecret("twx2", []byte("what nobody has sealed")) }
	must(t, s.driver.Write(t.Context(), spoil))
	if far, want := resealAll(t, s), (storage.Resealed{Seen: 4, Sealed: 3, Unreadable: 1, Share: 1, Done: true}); far != want {
		t.Errorf("got %+v, want %+v", far, want)
	}
	must(t, s.Close())
	must(t, openWith(t, cfg, secondKey).Close())
}

// TestAResealThatCannotBeNotedIsNotDone: the transaction of its last page is committed, and the keys stay needed.
func TestAResealThatCannotBeNotedIsNotDone(t *testing.T) {
	t.Parallel()
	cfg := sealedStore(t, 1)
	s := openWith(t, cfg, secondKey, firstKey)
	must(t, s.SetPhone(t.Context(), 1, storage.Phone{Number: "0"})) // sealed with the new key
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if far, err := s.Reseal(ctx); err == nil || far.Done {
		t.Errorf("got %+v, %v with a context that has ended", far, err)
	}
	must(t, s.Close())
	known, err := disk.ReadSentinel(filepath.Join(cfg.Badger.Dir, fileSentinel))
	if must(t, err); len(known.KeyChecks()) != 2 {
		t.Errorf("%d keys are needed, want 2", len(known.KeyChecks()))
	}
}

func TestAStartSaysThatSecretsAreToBeSealedAnew(t *testing.T) {
	t.Parallel()
	cfg := sealedStore(t, 1)
	cfg.EncryptionKeys = storage.EncryptionKeys{secondKey, firstKey}
	for range 2 {
		var lines bytes.Buffer
		s, err := openFree(cfg, prometheus.NewRegistry(), textLog(&lines), time.Now)
		must(t, err)
		must(t, s.Close())
		if !strings.Contains(lines.String(), "run `wxgate store reseal`") || strings.Contains(lines.String(), firstKey[:8]) {
			t.Errorf("got %s", lines.String())
		}
	}
}
