package compress

import (
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// The levels: those after which a list in JSON gets little smaller for much more CPU. BenchmarkCompress has the figures.
const (
	zstdLevel   = zstd.SpeedDefault
	brotliLevel = 3
	gzipLevel   = 5

	windowBits = 18 // how far zstd and brotli look back, as a power of 2
)

// encoder is what the three libraries have in common. None of its methods fails unless the writer does.
type encoder interface {
	io.Writer
	// Flush writes all that a decoder needs for what was encoded so far.
	Flush() error
	// Close writes the end.
	Close() error
	// Reset starts anew, with another writer.
	Reset(to io.Writer)
}

// newEncoder returns an encoder. The options are constants, which the libraries accept.
func newEncoder(as coding) encoder {
	switch as {
	case asZstd:
		e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<windowBits),
			zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
		return e
	case asBrotli:
		e, _ := brotli.NewWriterOptions(nil, brotliLevel, brotli.WriterOptions{LGWin: windowBits})
		return e
	}
	e, _ := gzip.NewWriterLevel(nil, gzipLevel)
	return e
}
