package disk

// Space is the space of a file system, in bytes.
type Space struct {
	Free  uint64 // for us, without what is reserved for root
	Total uint64
}

// StatFS asks for the space of the file system that holds dir.
type StatFS func(dir string) (Space, error)

const (
	// FlushNeeds is what closing a writable database may write: its memory tables, as tables.
	FlushNeeds = 3 * MemTableSize
	// Watermark bounds: a flush, and a compaction, which writes its result before it deletes its input.
	watermarkMin = 2 * FlushNeeds
	watermarkMax = 256 << 20
)

// Watermark returns the free space below which nothing is written: 10 % of the disk, but between 48 and 256 MB, and at
// most half of a very small disk.
func (s Space) Watermark() uint64 {
	return min(max(s.Total/10, watermarkMin), watermarkMax, s.Total/2)
}

// Resume returns the free space from which on writing resumes: a bit more than Watermark, so that it does not flap.
func (s Space) Resume() uint64 { return s.Watermark() + s.Watermark()/8 }
