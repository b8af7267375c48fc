// Package progress tells how far a long command is, on a terminal and elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	line         = 2 * time.Second        // between two lines, where there is no terminal
	redraw       = 100 * time.Millisecond // between two pictures of a bar
	barWidth     = 30                     // characters of a bar at most
	usualColumns = 80                     // of a terminal
)

// Bar tells how far a long command is: by a bar on a terminal, which End removes, and otherwise by a line every few
// seconds. What else is written while it goes on is written to it, so that it does not end up in the bar.
type Bar struct {
	out     io.Writer
	columns func() int // of the terminal, at this moment; nil: there is none
	noun    string     // what is counted
	silent  bool
	now     func() time.Time

	mu    sync.Mutex
	count int64
	share float64 // of the whole, 0: unknown
	began time.Time
	drawn time.Time
	bar   string // as it stands on the terminal
}

// New begins to count nouns, such as users. If it is silent, it only writes what is written to it.
func New(out io.Writer, noun string, silent bool) *Bar {
	now := time.Now()
	return &Bar{out: out, columns: Columns(out), noun: noun, silent: silent, now: time.Now, began: now, drawn: now}
}

// Columns returns how to measure a terminal, or nil for what is none.
func Columns(out any) func() int {
	file, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func() int {
		columns, _, err := term.GetSize(int(file.Fd()))
		if err != nil || columns == 0 { // some do not tell
			return usualColumns
		}
		return columns
	}
}

// Width is how many columns a terminal has, and what most have for what is none.
func Width(out any) int {
	if columns := Columns(out); columns != nil {
		return columns()
	}
	return usualColumns
}

// Of says how many of all have been done; all is 0 if nobody knows it.
func (p *Bar) Of(all, count int64) {
	share := 0.0
	if all > 0 {
		share = float64(count) / float64(all)
	}
	p.At(count, share)
}

// At says how many have been done, and what share of the whole that is; 0 if nobody knows.
func (p *Bar) At(count int64, share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.share = count, min(share, 1)
	wait := line
	if p.columns != nil {
		wait = redraw
	}
	if p.silent || p.now().Sub(p.drawn) < wait {
		return
	}
	p.drawn = p.now()
	if p.columns == nil {
		_, _ = fmt.Fprintf(p.out, "wxgate: %s\n", p.text())
		return
	}
	p.draw(p.picture(p.columns() - 1)) // the last column would begin a line
}

// text is how far it is, in words.
func (p *Bar) text() string {
	ran := p.now().Sub(p.began)
	text := fmt.Sprintf("%d %s, %.0f/s", p.count, p.noun, float64(p.count)/max(ran.Seconds(), 0.001))
	if p.share > 0 {
		left := time.Duration(float64(ran) * (1 - p.share) / p.share)
		text = fmt.Sprintf("%3.0f%%  %s, %v left", 100*p.share, text, left.Round(time.Second))
	}
	return text
}

// picture is the text with a bar in front, if that is not wider than so many columns.
func (p *Bar) picture(columns int) string {
	text := p.text()
	width := min(barWidth, columns-len(text)-3)
	if p.share <= 0 || width < 5 {
		return text[:max(0, min(len(text), columns))]
	}
	full := int(p.share * float64(width))
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] " + text
}

// draw replaces the bar. It is blanked out by spaces, no more than the terminal has columns now.
func (p *Bar) draw(bar string) {
	blank := max(0, min(len(p.bar), p.columns()-1)-len(bar))
	_, _ = io.WriteString(p.out, "\r"+bar+strings.Repeat(" ", blank)+strings.Repeat("\b", blank))
	p.bar = bar
}

// Write writes lines above the bar.
func (p *Bar) Write(lines []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bar := p.bar
	p.clear()
	n, err := p.out.Write(lines)
	if bar != "" {
		p.draw(bar)
	}
	return n, err
}

// End removes the bar.
func (p *Bar) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *Bar) clear() {
	if p.bar != "" {
		p.draw("")
		_, _ = io.WriteString(p.out, "\r")
	}
}
