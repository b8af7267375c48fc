package sandbox

import (
	"strconv"
	"testing"
	"time"
)

func TestTheLedgerForgetsDeadCodesWhenItGrows(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := newLedger(func() time.Time { return now })
	l.sweepAt = 10
	for i := range 10 {
		l.count("old-" + strconv.Itoa(i))
	}
	now = now.Add(CodeTTL)
	l.count("new")
	if got := len(l.entries); got != 1 {
		t.Errorf("codes remembered after the sweep: got %d, want 1", got)
	}
	if got := l.seen("old-0") + l.seen("new"); got != 1 {
		t.Errorf("seen: got %d, want 1", got)
	}
}
