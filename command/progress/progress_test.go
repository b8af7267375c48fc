package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// screen is a terminal of one line that shows what is written to it, and fails when that is wider than it is.
type screen struct {
	t       *testing.T
	columns int
	line    []byte
	at      int
	above   []string // lines that were ended
}

func (s *screen) Write(text []byte) (int, error) {
	for _, c := range text {
		switch c {
		case '\r':
			s.at = 0
		case '\b':
			s.at--
		case '\n':
			s.above = append(s.above, strings.TrimRight(string(s.line), " "))
			s.line, s.at = nil, 0
		default:
			if s.at == len(s.line) {
				s.line = append(s.line, 0)
			}
			s.line[s.at] = c
			s.at++
		}
	}
	if s.at >= s.columns {
		s.t.Errorf("%q fills %d columns", s.line, s.columns)
	}
	return len(text), nil
}

func (s *screen) shows() string { return strings.TrimRight(string(s.line), " ") }

// newBar is a progress of users on a screen, and what moves its clock.
func newBar(t *testing.T, columns int) (*Bar, *screen, func(time.Duration)) {
	t.Helper()
	s := &screen{t: t, columns: columns}
	p := New(s, "users", false)
	now := p.began
	p.now, p.columns = func() time.Time { return now }, func() int { return s.columns }
	return p, s, func(d time.Duration) { now = now.Add(d) }
}

func TestABarFitsTheTerminalAndIsGoneAtTheEnd(t *testing.T) {
	t.Parallel()
	p, s, pass := newBar(t, 80)
	pass(10 * time.Second)
	p.At(5000, 0.5)
	if want := "[###############---------------]  50%  5000 users, 500/s, 10s left"; s.shows() != want {
		t.Errorf("it shows %q, want %q", s.shows(), want)
	}
	for _, columns := range []int{40, 20, 3, 200, 60} { // it is resized
		s.columns, s.line, s.at = columns, nil, 0
		pass(time.Second)
		p.At(5001, 0.5)
	}
	if _, err := p.Write([]byte("wxgate: hear me\n")); err != nil || len(s.above) != 1 || s.above[0] != "wxgate: hear me" {
		t.Errorf("above the bar stands %q, %v", s.above, err)
	}
	if !strings.HasPrefix(s.shows(), "[####") {
		t.Errorf("below the line stands %q, want the bar", s.shows())
	}
	pass(time.Second)
	p.At(6, 0) // shorter than before
	if want := "6 users, 0/s"; s.shows() != want {
		t.Errorf("it shows %q, want %q", s.shows(), want)
	}
	if p.End(); s.shows() != "" || s.at != 0 {
		t.Errorf("at the end it shows %q, at column %d", s.shows(), s.at)
	}
}

func TestWithoutATerminalALineComesNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(&out, "secrets", false)
	now := p.began
	p.now = func() time.Time { return now }
	for i := range int64(100) {
		now = now.Add(100 * time.Millisecond)
		p.At(10*i, 0)
	}
	p.End()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 5 || lines[0] != "wxgate: 190 secrets, 95/s" {
		t.Errorf("ten seconds say %q, want five lines", lines)
	}
}

func TestASilentProgressPassesOnWhatIsSaid(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(&out, "users", true)
	p.now = func() time.Time { return p.began.Add(time.Hour) }
	p.At(1, 0.5)
	_, _ = p.Write([]byte("a warning\n"))
	if p.End(); out.String() != "a warning\n" {
		t.Errorf("it says %q", out.String())
	}
}
