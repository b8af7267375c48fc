package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Page is a generated part of the manual: Markdown, and the plots that it embeds.
type Page struct {
	Markdown string
	Plots    map[string]string // file name -> SVG
}

// Splice replaces what stands between "<!-- NAME begin -->" and "<!-- NAME end -->" in a page.
func Splice(page, name, content string) (string, error) {
	begin, end := "<!-- "+name+" begin -->\n", "<!-- "+name+" end -->"
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("the page has no %q followed by %q", strings.TrimSpace(begin), end)
	}
	return before + begin + "\n" + strings.TrimSpace(content) + "\n\n" + end + after, nil
}

// Publish splices p into a page of the manual and writes its plots into a folder.
func (p *Page) Publish(page, name, folder string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	spliced, err := Splice(string(text), name, p.Markdown)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for file, svg := range p.Plots {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(page, []byte(spliced), 0o644)
}
