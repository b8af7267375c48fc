package backup

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"wxgate/secret"
	"wxgate/storage"
)

// Source is what a backup is taken of, such as a *storage.Store.
type Source interface {
	Snapshot(ctx context.Context, each func(storage.Record) error) error
}

// Write writes a backup, block by block, while the store goes on. It rests between blocks, so that logins do not wait for
// it. The key of the secrets is not in it.
func Write(ctx context.Context, to io.Writer, from Source) (Summary, error) {
	return write(ctx, to, from, nil)
}

// WriteWithKey writes a backup that has, in front, the one of the keys that opens all its secrets. An error is
// storage.ErrWrongKey if none does.
func WriteWithKey(ctx context.Context, to io.Writer, from Source, keys [][]byte) (Summary, error) {
	return write(ctx, to, from, keys)
}

func write(ctx context.Context, to io.Writer, from Source, keys [][]byte) (Summary, error) {
	w, err := newWriter(to)
	if err != nil {
		return Summary{}, err
	}
	w.keys = keys
	if err := from.Snapshot(ctx, func(r storage.Record) error { return w.put(ctx, r) }); err != nil {
		return w.summary, err
	}
	return w.summary, w.end(ctx)
}

// writer writes blocks.
type writer struct {
	to      io.Writer
	zip     *zstd.Encoder
	sum     hash.Hash
	block   []byte // of records
	zipped  []byte
	began   time.Time // when the block was begun
	keys    [][]byte  // one of which is written in front; none: no key is
	summary Summary
}

func newWriter(to io.Writer) (*writer, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(blockSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	w := &writer{zip: zip, sum: sha256.New(), began: time.Now()}
	w.to = io.MultiWriter(to, w.sum)
	_, err = io.WriteString(w.to, magic)
	return w, err
}

func (w *writer) put(ctx context.Context, r storage.Record) (err error) {
	if err := w.summary.add(r); err != nil {
		return err
	}
	if r.Kind == storage.KindHeader && len(w.keys) > 0 {
		if err := w.putKey(); err != nil {
			return err
		}
	}
	if w.block, err = appendRecord(w.block, r); err != nil || len(w.block) < blockSize {
		return err
	}
	return w.flush(ctx)
}

// putKey writes the key, before the first block of records.
func (w *writer) putKey() error {
	checks := w.summary.KeyChecks
	at := slices.IndexFunc(w.keys, func(key []byte) bool { return isKeyOf(checks, key) })
	switch {
	case len(checks) == 0:
		return nil // there is no secret
	case at < 0 && len(checks) > 1:
		return fmt.Errorf("the secrets are sealed with %d keys; run `wxgate store reseal`, so that one opens them all: %w", len(checks), storage.ErrWrongKey)
	case at < 0:
		return fmt.Errorf("the secrets are sealed with the key whose check is %v, which is not here: %w", checks, storage.ErrWrongKey)
	}
	text := base64.StdEncoding.EncodeToString(w.keys[at])
	w.summary.Key = secret.Text(text)
	content, err := json.Marshal(keyBlock{text})
	if err != nil {
		return err
	}
	return w.write(blockKey, content)
}

// isKeyOf reports whether a key opens all secrets of a data set with these checks.
func isKeyOf(checks storage.KeyChecks, key []byte) bool {
	sealer, err := storage.NewSealer(key)
	return err == nil && slices.Equal(checks, sealer.Checks())
}

// flush writes the block, and rests for a third of the time that it took.
func (w *writer) flush(ctx context.Context) error {
	if len(w.block) == 0 {
		return nil
	}
	w.zipped = w.zip.EncodeAll(w.block, w.zipped[:0])
	w.block = w.block[:0]
	if err := w.write(blockOf, w.zipped); err != nil {
		return err
	}
	err := rest(ctx, time.Since(w.began)/3)
	w.began = time.Now()
	return err
}

// longestRest is for a writer that waited for something else.
const longestRest = 10 * time.Millisecond

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(min(d, longestRest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) write(kind byte, content []byte) error {
	h := head(kind, content)
	if _, err := w.to.Write(h[:]); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	if _, err := w.to.Write(content); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

func (w *writer) end(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.summary.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	text, err := json.Marshal(w.summary)
	if err != nil {
		return err
	}
	return w.write(blockEnd, text)
}
