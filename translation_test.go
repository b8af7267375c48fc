package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// manualPages are pages that were read, by their file.
type manualPages map[string]manualPage

// manualPage is what a page says in every language.
type manualPage struct {
	sections []manualSection
	ids      []string // anchors of its own, the same in every language: <a id="presets">
	blocks   []string // fenced blocks, without comments and empty lines
	rows     []string // of tables
	links    []string // as written: "tls.md#acme"
}

// manualSection is a heading and the prose below it, up to the next heading.
type manualSection struct {
	heading string         // "## Presets"
	anchor  string         // "presets"
	code    map[string]int // how often each inline code span is there
	numbers map[string]int // those of the prose: "10,000"
}

func TestTheChineseManualSaysWhatTheEnglishOneSays(t *testing.T) {
	t.Parallel()
	pages := manualPages{}
	english, err := filepath.Glob("docs/*.md")
	if err != nil || len(english) < 30 {
		t.Fatalf("got %d pages and %v", len(english), err)
	}
	for _, page := range english {
		name := filepath.Base(page)
		if name == "architecture.md" { // for developers
			continue
		}
		if _, err := os.Stat("docs/zh/" + name); err != nil {
			t.Errorf("%s has no Chinese page: write docs/zh/%s", page, name)
			continue
		}
		pages.compare(t, name)
	}
}

func TestTheChineseManualHasNoPageOfItsOwn(t *testing.T) {
	t.Parallel()
	pages := manualPages{}
	chinese, err := filepath.Glob("docs/zh/*")
	if err != nil || len(chinese) == 0 {
		t.Fatalf("got %d pages and %v", len(chinese), err)
	}
	index := pages.read(t, "docs/zh/README.md")
	for _, link := range index.links {
		pages.target(t, "docs/zh/README.md", link)
	}
	for _, page := range chinese {
		name := filepath.Base(page)
		if name == "README.md" {
			continue
		}
		if _, err := os.Stat("docs/" + name); err != nil {
			t.Errorf("%s has no English page: delete it, or write docs/%s", page, name)
		}
		if !slices.Contains(index.links, name) {
			t.Errorf("docs/zh/README.md does not list %s", page)
		}
	}
}

func TestChinesePagesLeadToTheChineseManual(t *testing.T) {
	t.Parallel()
	pages := manualPages{}
	for _, page := range []string{"README.zh.md", "miniprogram/微信原生小程序登录集成指南.md"} {
		for _, link := range pages.read(t, page).links {
			pages.target(t, page, link)
		}
	}
}

// compare reports what one of the pages has and the other lacks.
func (pages manualPages) compare(t *testing.T, name string) {
	t.Helper()
	english, chinese := pages.read(t, "docs/"+name), pages.read(t, "docs/zh/"+name)
	for i := range max(len(english.sections), len(chinese.sections)) {
		en, zh := at(english.sections, i), at(chinese.sections, i)
		if level(en.heading) != level(zh.heading) {
			t.Errorf("docs/zh/%s: heading %d is %q, want that of %q", name, i+1, zh.heading, en.heading)
			break
		}
		compareSections(t, name, en, zh)
	}
	for i := range max(len(english.blocks), len(chinese.blocks)) {
		if en, zh := at(english.blocks, i), at(chinese.blocks, i); en != zh {
			t.Errorf("docs/zh/%s: fenced block %d is, comments apart,\n%s\nwant\n%s", name, i+1, zh, en)
			break
		}
	}
	for i := range max(len(english.rows), len(chinese.rows)) {
		if en, zh := at(english.rows, i), at(chinese.rows, i); !slices.Equal(cells(en), cells(zh)) {
			t.Errorf("docs/zh/%s: row %d of its tables is\n%s\nwant as many cells, and the code, of\n%s", name, i+1, zh, en)
			break
		}
	}
	pages.compareLinks(t, name, english.links, chinese.links)
}

// compareLinks reports links of one page that the other does not have, and those that lead nowhere.
func (pages manualPages) compareLinks(t *testing.T, name string, english, chinese []string) {
	t.Helper()
	open := map[string]int{}
	for _, link := range english {
		open[pages.target(t, "docs/"+name, link)]++
	}
	for _, link := range chinese {
		if target := pages.target(t, "docs/zh/"+name, link); open[target] > 0 {
			open[target]--
		} else {
			t.Errorf("docs/zh/%s: got a link to %s, which docs/%s does not have, or not so often", name, link, name)
		}
	}
	for _, target := range slices.Sorted(maps.Keys(open)) {
		if open[target] > 0 {
			t.Errorf("docs/zh/%s: a link to %s is missing", name, target)
		}
	}
}

// compareSections reports the code and numbers of the prose that one section has and the other lacks.
func compareSections(t *testing.T, name string, english, chinese manualSection) {
	t.Helper()
	for _, span := range slices.Sorted(maps.Keys(english.code)) {
		if got, want := chinese.code[span], english.code[span]; got != want {
			t.Errorf("docs/zh/%s: got `%s` %d times below %q, want %d", name, span, got, chinese.heading, want)
		}
	}
	for _, span := range slices.Sorted(maps.Keys(chinese.code)) {
		if english.code[span] == 0 {
			t.Errorf("docs/zh/%s: got `%s` below %q, which docs/%s does not have there", name, span, chinese.heading, name)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(english.numbers)) {
		if chinese.numbers[number] == 0 {
			t.Errorf("docs/zh/%s: the number %s is missing below %q", name, number, chinese.heading)
		}
	}
}

// at is all[i], nothing behind the end.
func at[T any](all []T, i int) T {
	var nothing T
	if i < len(all) {
		return all[i]
	}
	return nothing
}

// level is the # of a heading.
func level(heading string) string { return heading[:strings.LastIndex(heading+" ", "#")+1] }

// cells are the code spans of a table's row, cell by cell, in any order within a cell.
func cells(row string) []string {
	var all []string
	for cell := range strings.SplitSeq(strings.ReplaceAll(row, `\|`, ""), "|") {
		spans := regexp.MustCompile("`[^`]+`").FindAllString(cell, -1)
		slices.Sort(spans)
		all = append(all, strings.Join(spans, " "))
	}
	return all
}

// target names where a link of a page leads, for both languages alike: an address as it is, else a file in the
// repository, with the number of the heading that its anchor names.
func (pages manualPages) target(t *testing.T, page, link string) string {
	t.Helper()
	if strings.Contains(link, ":") {
		return link
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = path.Join(path.Dir(page), file)
	}
	if _, err := os.Stat(target); err != nil {
		t.Errorf("%s links to %s, which does not exist", page, link)
		return link
	}
	chinese := "docs/zh/" + path.Base(target)
	inEnglish := path.Dir(page) == "docs"
	if _, err := os.Stat(chinese); err == nil && path.Dir(target) == "docs" && !inEnglish {
		t.Errorf("%s links to %s, want the Chinese page %s", page, link, chinese)
	}
	english := strings.Replace(target, "docs/zh/", "docs/", 1)
	switch path.Base(target) {
	case "README.zh.md":
		english = path.Join(path.Dir(target), "README.md")
	case "微信原生小程序登录集成指南.md":
		english = path.Join(path.Dir(target), "integration-guide.md")
	}
	if anchor == "" {
		return english
	}
	there := pages.read(t, target)
	heading := slices.IndexFunc(there.sections, func(s manualSection) bool { return s.anchor == anchor })
	switch {
	case slices.Contains(there.ids, anchor):
		return english + "#" + anchor
	case heading < 0:
		t.Errorf("%s links to %s, which has no such anchor; its headings are %q", page, link, there.headings())
	}
	return fmt.Sprintf("%s, heading %d", english, heading+1)
}

// read returns a page of Markdown.
func (pages manualPages) read(t *testing.T, file string) manualPage {
	t.Helper()
	if page, ok := pages[file]; ok {
		return page
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if garbled := regexp.MustCompile(`[\x{80}-\x{9f}\x{fffd}]`).FindIndex(text); garbled != nil { // UTF-8 that was decoded as Latin-1
		t.Errorf("%s: garbled text at %q", file, text[max(0, garbled[0]-20):garbled[1]])
	}
	var page manualPage
	fenced := regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	for _, block := range fenced.FindAllString(string(text), -1) {
		page.blocks = append(page.blocks, withoutComments(block))
	}
	prose := fenced.ReplaceAllString(string(text), "")
	page.sections = sectionsOf(prose)
	for _, m := range regexp.MustCompile(`<a id="([^"]+)">`).FindAllStringSubmatch(prose, -1) {
		page.ids = append(page.ids, m[1])
	}
	page.rows = regexp.MustCompile(`(?m)^ *\|.*$`).FindAllString(prose, -1)
	for _, m := range regexp.MustCompile("`[^`]+`|\\]\\(([^)\\s]+)\\)").FindAllStringSubmatch(prose, -1) {
		if m[1] != "" {
			page.links = append(page.links, m[1])
		}
	}
	pages[file] = page
	return page
}

// headings are those of all sections.
func (p manualPage) headings() []string {
	var all []string
	for _, s := range p.sections {
		all = append(all, s.heading)
	}
	return all
}

// sectionsOf are the sections of a page without its fenced blocks.
func sectionsOf(prose string) []manualSection {
	var sections []manualSection
	span := regexp.MustCompile("`([^`]+)`")
	notCounted := regexp.MustCompile("`[^`]+`|\\]\\([^)\\s]+\\)|[\\d.]+ (?:million|billion)") // code, links, and what Chinese says as 万
	seen := map[string]int{}
	for _, text := range regexp.MustCompile(`(?m)^#+ .*(?:\n(?:[^#\n].*)?)*`).FindAllString(prose, -1) {
		heading, _, _ := strings.Cut(text, "\n")
		section := manualSection{heading: heading, anchor: anchorOf(heading), code: map[string]int{}, numbers: map[string]int{}}
		if seen[section.anchor]++; seen[section.anchor] > 1 {
			section.anchor = fmt.Sprintf("%s-%d", section.anchor, seen[section.anchor]-1)
		}
		for _, m := range span.FindAllStringSubmatch(text, -1) {
			section.code[strings.Join(strings.Fields(m[1]), " ")]++
		}
		for _, number := range regexp.MustCompile(`\d+(?:[,.]\d+)*`).FindAllString(notCounted.ReplaceAllString(text, ""), -1) {
			section.numbers[number]++
		}
		sections = append(sections, section)
	}
	return sections
}

// anchorOf is the anchor that GitHub gives a heading.
func anchorOf(heading string) string {
	title := regexp.MustCompile(`^#+ |\]\([^)]*\)`).ReplaceAllString(heading, "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

// withoutComments is a block of code without what is said beside it.
func withoutComments(block string) string {
	var code []string
	for line := range strings.Lines(regexp.MustCompile(`(?m)(^|[ \t]+)(#|//|--) .*$`).ReplaceAllString(block, "")) {
		if line = strings.TrimRight(line, " \t\n"); line != "" {
			code = append(code, line)
		}
	}
	return strings.Join(code, "\n")
}
