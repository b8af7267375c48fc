package badger

// space is what a file system has, in bytes.
type space struct {
	free  uint64 // for us, without what is reserved for root
	total uint64
}

// statfs asks for the space of the file system that holds dir.
type statfs func(dir string) (space, error)

const (
	// flushNeeds is what closing a writable database may write: its memory tables, as tables.
	flushNeeds = 3 * memTableSize
	// Watermark bounds: a flush, and a compaction, which writes its result before it deletes its input.
	watermarkMin = 2 * flushNeeds
	watermarkMax = 256 << 20
)

// watermark is the free space below which nothing is written: 10 % of the disk between 48 and 256 MB, and at most half
// of a very small one.
func (s space) watermark() uint64 {
	return min(max(s.total/10, watermarkMin), watermarkMax, s.total/2)
}

// resume is the free space from which writing goes on, a bit more than watermark so that it does not flap.
func (s space) resume() uint64 { return s.watermark() + s.watermark()/8 }
