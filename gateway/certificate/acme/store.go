package acme

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"wxgate/storage"
)

// store lets certmagic remember in the store of the gateways, so that all of them have what one was issued.
type store struct {
	files storage.SealedFiles
	store *storage.Store
	log   *slog.Logger

	mu    sync.Mutex
	locks map[string]*lock // those of this process
}

// lock is one that this process has, or asks for.
type lock struct {
	free  chan struct{} // has a value while nobody here has it
	users int           // who have it or ask for it
	drop  func()        // gives up the lease
}

var _ certmagic.Storage = (*store)(nil)

func newStore(s *storage.Store, log *slog.Logger) *store {
	return &store{files: storage.NewSealedFiles(s), store: s, log: log, locks: map[string]*lock{}}
}

// Store puts a value in the place of that of the key.
func (s *store) Store(ctx context.Context, key string, value []byte) error {
	return s.files.Write(ctx, key, value)
}

// Load returns the value of a key, or fs.ErrNotExist.
func (s *store) Load(ctx context.Context, key string) ([]byte, error) {
	file, err := s.files.Read(ctx, key)
	return file.Text, missing(err)
}

// missing says of what is not there what certmagic expects.
func missing(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// Delete removes a key and all below it.
func (s *store) Delete(ctx context.Context, key string) error { return s.files.Remove(ctx, key) }

// Exists reports whether there is a value of a key, or below it.
func (s *store) Exists(ctx context.Context, key string) bool {
	if _, err := s.files.Read(ctx, key); err == nil {
		return true
	}
	below, err := s.files.List(ctx, key)
	return err == nil && len(below) > 0
}

// List returns what stands below a key: directly, or all of it with the folders between.
func (s *store) List(ctx context.Context, key string, recursive bool) (keys []string, err error) {
	files, err := s.files.List(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		rest, below := strings.CutPrefix(file, key+"/")
		if !below {
			continue
		}
		at := key
		for part := range strings.SplitSeq(rest, "/") {
			if at = path.Join(at, part); !slices.Contains(keys, at) {
				keys = append(keys, at)
			}
			if !recursive {
				break
			}
		}
	}
	if len(files) == 0 {
		return nil, fs.ErrNotExist
	}
	return keys, nil
}

// Stat says what is at a key.
func (s *store) Stat(ctx context.Context, key string) (info certmagic.KeyInfo, err error) {
	file, err := s.files.Read(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: file.Modified, Size: int64(len(file.Text)), IsTerminal: true}, nil
	}
	if below, listing := s.files.List(ctx, key); listing == nil && len(below) > 0 {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return info, missing(err)
}

const (
	lockLife  = time.Minute     // how long the lock of a process counts that was killed
	lockRenew = lockLife / 4    // so it survives three attempts that fail
	lockRetry = time.Second     // between two looks at the lock of another process
	lockWait  = 2 * time.Second // for the store, when a lock is given back
)

// leaseOf is the name of the lease of a lock, which may be longer than a name may be.
func leaseOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "acme " + hex.EncodeToString(sum[:16])
}

// Lock waits until this caller alone, in all processes, has the lock. What is done under it does no harm when two do it, as
// after a process was frozen: there is a certificate more.
func (s *store) Lock(ctx context.Context, name string) error {
	mine, err := s.acquireHere(ctx, name)
	if err != nil {
		return err
	}
	lease := storage.NewLease(s.store, leaseOf(name), lockLife)
	for {
		err := lease.Take(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil || !errors.Is(err, storage.ErrLeased) {
			s.releaseHere(name, mine)
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockRetry):
		}
	}
	mine.drop = s.keep(lease)
	return nil
}

// keep renews a lease until it is dropped.
func (s *store) keep(lease *storage.Lease) (drop func()) {
	giveBack := lease.Keep(lockRenew, func(err error) { s.log.Warn("keeping the lock of a certificate", "error", err) })
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), lockWait)
		defer cancel()
		if err := giveBack(ctx); err != nil {
			s.log.Warn("releasing the lock of a certificate, which ends by itself", "error", err)
		}
	}
}

// acquireHere waits for others of this process, to whom its lease would be one.
func (s *store) acquireHere(ctx context.Context, name string) (*lock, error) {
	s.mu.Lock()
	mine := s.locks[name]
	if mine == nil {
		mine = &lock{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		s.locks[name] = mine
	}
	mine.users++
	s.mu.Unlock()
	select {
	case <-mine.free:
		return mine, nil
	case <-ctx.Done():
		s.forget(name, mine)
		return nil, ctx.Err()
	}
}

func (s *store) releaseHere(name string, mine *lock) {
	mine.free <- struct{}{}
	s.forget(name, mine)
}

func (s *store) forget(name string, mine *lock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(s.locks, name)
	}
}

// Unlock gives a lock back.
func (s *store) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	mine := s.locks[name]
	s.mu.Unlock()
	if mine == nil || mine.drop == nil {
		return fmt.Errorf("unlocking %s, which is not locked", name)
	}
	mine.drop()
	mine.drop = nil
	s.releaseHere(name, mine)
	return nil
}
