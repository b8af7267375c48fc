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

// Publish splices p, named NAME, into performance.md of a manual, which is in a folder and has its Chinese pages in zh/,
// and writes the plots into bench/. The part is the same in both languages.
func (p *Page) Publish(manual, name string) error {
	if err := spliceFile(filepath.Join(manual, "performance.md"), name, p.Markdown); err != nil {
		return err
	}
	chinese := strings.ReplaceAll(p.Markdown, "](bench/", "](../bench/")
	if err := spliceFile(filepath.Join(manual, "zh", "performance.md"), name, chinese); err != nil {
		return err
	}
	folder := filepath.Join(manual, "bench")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for file, svg := range p.Plots {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// spliceFile replaces the part NAME of a page.
func spliceFile(page, name, content string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	spliced, err := Splice(string(text), name, content)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(spliced), 0o644)
}
