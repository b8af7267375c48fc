package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How keys are fetched.
const (
	fetchTimeout = 5 * time.Second // for the whole answer, however slowly it comes
	refreshEvery = 15 * time.Minute
	firstRetry   = 5 * time.Second // after a failure; doubled with each further one
	lastRetry    = 5 * time.Minute
	askEvery     = time.Minute     // at most once in this time tokens that no known key signed make it ask
	maxWait      = 2 * time.Second // of a request for the keys of its token
	maxWaiting   = 64              // requests that wait
	maxHeadBytes = 64 << 10        // of the head of the answer
)

// source is an issuer and its keys. It asks for them in one goroutine, from start to close.
type source struct {
	cfg     Config
	deps    deps
	keys    atomic.Pointer[knownKeys] // nil: none were fetched yet
	client  http.RoundTripper
	wake    chan struct{} // asks for a fetch at once
	waiting chan struct{} // holds one for each request that waits
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu      sync.Mutex
	fetched chan struct{} // closed when the fetch under way, or about to begin, has ended; nil: there is none
	asked   time.Time     // when a token that no known key signed last made it ask
}

// knownKeys are keys and the tokens that they verified, so that both are replaced together.
type knownKeys struct {
	list  []*key
	cache *callerCache
}

func newKnownKeys(list []*key) *knownKeys { return &knownKeys{list, newCallerCache()} }

// newSource returns the issuer of a valid configuration. One with a secret knows its key.
func newSource(cfg Config, d deps) *source {
	s := &source{cfg: cfg, deps: d, stop: func() {}}
	if cfg.Secret != "" {
		s.keys.Store(newKnownKeys([]*key{secretKey(cfg)}))
		return s
	}
	s.wake, s.waiting = make(chan struct{}, 1), make(chan struct{}, maxWaiting)
	s.fetched = make(chan struct{}) // the first fetch, which start begins
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.client = &http.Transport{ // its RoundTrip follows no redirect
		Protocols: protocols, Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSHandshakeTimeout: fetchTimeout, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeadBytes, DisableCompression: true,
	}
	return s
}

// inherit takes over the keys of the source before it, nil if there is none, if both have them from the same address for
// the same algorithms. What old verified with them is not taken over.
func (s *source) inherit(old *source) {
	if old == nil || s.cfg.JWKS == "" || s.cfg.JWKS != old.cfg.JWKS || !slices.Equal(s.cfg.algorithms(), old.cfg.algorithms()) {
		return
	}
	if known := old.keys.Load(); known != nil {
		s.keys.Store(newKnownKeys(known.list))
	}
}

// start begins to fetch keys, until close.
func (s *source) start() {
	if s.client == nil {
		s.deps.metrics.keys.WithLabelValues(s.cfg.Name).Set(1)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.run(ctx) })
}

// close ends the fetching, and waits for it. The keys stay known.
func (s *source) close() {
	s.stop()
	s.done.Wait()
}

// knows reports whether a key is one of those that are known.
func (s *source) knows(k *key) bool {
	known := s.keys.Load()
	return known != nil && slices.Contains(known.list, k)
}

// awaitNewer waits for the keys of a token that no known key signed: for a fetch that is under way, or for a new
// one, which tokens can cause once in askEvery.
func (s *source) awaitNewer(ctx context.Context) {
	if s.client == nil {
		return
	}
	ended := s.ask()
	if ended == nil {
		return
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return // enough wait already
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ask returns what is closed when the fetch ends that is under way or that it causes, nil if there is none.
func (s *source) ask() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.now()
	if s.fetched == nil && now.Sub(s.asked).Abs() >= askEvery {
		s.asked, s.fetched = now, make(chan struct{})
		s.wake <- struct{}{} // there is room: run empties it before it closes fetched
	}
	return s.fetched
}

// run fetches keys until ctx ends.
func (s *source) run(ctx context.Context) {
	retry := firstRetry
	for {
		err := s.fetch(ctx)
		if ctx.Err() != nil {
			s.endFetch()
			return
		}
		next := refreshEvery
		if err != nil {
			s.warn(err)
			next, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		s.deps.metrics.fetched(s.cfg.Name, err, s.deps.now())
		s.endFetch()
		if !s.sleep(ctx, next) {
			return
		}
		s.beginFetch()
	}
}

// sleep waits until the next fetch is due, or asked for. It reports false when ctx has ended.
func (s *source) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-s.wake:
	}
	return true
}

// beginFetch lets requests wait for the fetch that is about to begin.
func (s *source) beginFetch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched == nil {
		s.fetched = make(chan struct{})
	}
	select {
	case <-s.wake: // it was asked for since
	default:
	}
}

// endFetch lets the requests go on that wait for a fetch.
func (s *source) endFetch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.fetched)
	s.fetched = nil
}

func (s *source) warn(err error) {
	known := 0
	if keys := s.keys.Load(); keys != nil {
		known = len(keys.list)
	}
	s.deps.log.Warn("the keys of an issuer could not be fetched", "issuer", s.cfg.Name, "error", err, "known", known)
}

// fetch asks for the keys. Those that have not changed stay, with the tokens that they verified.
func (s *source) fetch(ctx context.Context) error {
	data, err := s.get(ctx)
	if err != nil {
		return err
	}
	keys, ignored, err := readSet(data, s.cfg.algorithms())
	if err != nil {
		return err
	}
	if known := s.keys.Load(); known != nil && slices.EqualFunc(known.list, keys, (*key).same) {
		return nil
	}
	s.keys.Store(newKnownKeys(s.keep(keys)))
	s.deps.metrics.keys.WithLabelValues(s.cfg.Name).Set(float64(len(keys)))
	s.deps.log.Info("keys of an issuer", "issuer", s.cfg.Name, "keys", len(keys), "ignored", len(ignored))
	if len(ignored) > 0 {
		s.deps.log.Log(ctx, slog.LevelWarn, "keys of an issuer are ignored", "issuer", s.cfg.Name, "because", ignored)
	}
	return nil
}

// keep returns keys, those that were known before as the same objects: what they verified goes on.
func (s *source) keep(keys []*key) []*key {
	known := s.keys.Load()
	if known == nil {
		return keys
	}
	for i, k := range keys {
		if at := slices.IndexFunc(known.list, k.same); at >= 0 {
			keys[i] = known.list[at]
		}
	}
	return keys
}

// get fetches the set of keys.
func (s *source) get(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.JWKS, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.RoundTrip(request)
	if err != nil {
		return nil, inTime(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return nil, fmt.Errorf("the answer is a redirect (%d), which is not followed", response.StatusCode)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer is a %d", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes+1))
	switch {
	case err != nil:
		return nil, inTime(ctx, err)
	case len(data) > maxSetBytes:
		return nil, fmt.Errorf("the answer has more than %d KiB", maxSetBytes>>10)
	}
	return data, nil
}

// inTime is an error of an exchange, in words if the time was over.
func inTime(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		return fmt.Errorf("there was no whole answer within %v", fetchTimeout)
	}
	return err
}
