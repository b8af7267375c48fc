package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"wxgate/storage"
)

// Source is what a backup is taken of, such as a *storage.Store.
type Source interface {
	Snapshot(ctx context.Context, each func(storage.Record) error) error
}

// Write writes a backup, block by block, while the store goes on. It rests between blocks, so that logins do not wait for
// it.
func Write(ctx context.Context, to io.Writer, from Source) (Summary, error) {
	w, err := newWriter(to)
	if err != nil {
		return Summary{}, err
	}
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
	if w.block, err = appendRecord(w.block, r); err != nil || len(w.block) < blockSize {
		return err
	}
	return w.flush(ctx)
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
