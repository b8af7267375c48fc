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

// developersPages are the pages of docs/ that have no Chinese one: users do not read them.
func developersPages() []string { return []string{"architecture.md"} }

// pagesToCome are the pages whose Chinese one is not written yet. The list only shrinks.
func pagesToCome() []string {
	return append([]string{}, []string{
		"security.md",
	}...)
}

// manualPages are pages that were read, by their file.
type manualPages map[string]manualPage

// manualPage is what a page says in every language.
type manualPage struct {
	headings []string       // "## Presets"
	anchors  []string       // of the headings: "presets"
	ids      []string       // anchors of its own, the same in every language: <a id="presets">
	code     map[string]int // how often each inline code span is there
	numbers  map[string]int // those of the prose: "10,000"
	blocks   []string       // fenced blocks, without comments and empty lines
	tables   []string       // "rows × columns"
	links    []string       // as written: "tls.md#acme"
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
		if slices.Contains(developersPages(), name) {
			continue
		}
		_, err := os.Stat("docs/zh/" + name)
		toCome := slices.Contains(pagesToCome(), name)
		switch {
		case err == nil && toCome:
			t.Errorf("docs/zh/%s exists: take %s out of pagesToCome", name, name)
		case err != nil && !toCome:
			t.Errorf("%s has no Chinese page: write docs/zh/%s", page, name)
		case err == nil:
			pages.compare(t, name)
		}
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

// compare reports what one of the pages has and the other lacks.
func (pages manualPages) compare(t *testing.T, name string) {
	t.Helper()
	english, chinese := pages.read(t, "docs/"+name), pages.read(t, "docs/zh/"+name)
	levels := regexp.MustCompile(`^#+`)
	for i := range max(len(english.headings), len(chinese.headings)) {
		en, zh := at(english.headings, i), at(chinese.headings, i)
		if levels.FindString(en) != levels.FindString(zh) {
			t.Errorf("docs/zh/%s: heading %d is %q, want that of %q", name, i+1, zh, en)
			break
		}
	}
	for _, span := range slices.Sorted(maps.Keys(english.code)) {
		if got, want := chinese.code[span], english.code[span]; got != want {
			t.Errorf("docs/zh/%s: got `%s` %d times, want %d", name, span, got, want)
		}
	}
	for _, span := range slices.Sorted(maps.Keys(chinese.code)) {
		if english.code[span] == 0 {
			t.Errorf("docs/zh/%s: got `%s`, which docs/%s does not have", name, span, name)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(english.numbers)) {
		if chinese.numbers[number] == 0 {
			t.Errorf("docs/zh/%s: the number %s of docs/%s is missing", name, number, name)
		}
	}
	for i := range max(len(english.blocks), len(chinese.blocks)) {
		if en, zh := at(english.blocks, i), at(chinese.blocks, i); en != zh {
			t.Errorf("docs/zh/%s: fenced block %d is, comments apart,\n%s\nwant\n%s", name, i+1, zh, en)
			break
		}
	}
	for i := range max(len(english.tables), len(chinese.tables)) {
		if en, zh := at(english.tables, i), at(chinese.tables, i); en != zh {
			t.Errorf("docs/zh/%s: table %d is %s, want %s", name, i+1, zh, en)
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

// at is all[i], "nothing" behind the end.
func at(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return "nothing"
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
	if _, err := os.Stat(chinese); err == nil && path.Dir(target) == "docs" && path.Dir(page) == "docs/zh" {
		t.Errorf("%s links to %s, want the Chinese page %s", page, link, path.Base(chinese))
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
	heading := slices.Index(there.anchors, anchor)
	switch {
	case slices.Contains(there.ids, anchor):
		return english + "#" + anchor
	case heading < 0:
		t.Errorf("%s links to %s, which has no such anchor", page, link)
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
	page := manualPage{code: map[string]int{}, numbers: map[string]int{}}
	fenced := regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	for _, block := range fenced.FindAllString(string(text), -1) {
		page.blocks = append(page.blocks, withoutComments(block))
	}
	prose := fenced.ReplaceAllString(string(text), "")
	span := regexp.MustCompile("`([^`]+)`")
	for _, m := range span.FindAllStringSubmatch(prose, -1) {
		page.code[strings.Join(strings.Fields(m[1]), " ")]++
	}
	seen := map[string]int{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ .*$`).FindAllString(prose, -1) {
		page.headings = append(page.headings, heading)
		anchor := anchorOf(heading)
		if seen[anchor]++; seen[anchor] > 1 {
			anchor = fmt.Sprintf("%s-%d", anchor, seen[anchor]-1)
		}
		page.anchors = append(page.anchors, anchor)
	}
	for _, m := range regexp.MustCompile(`<a id="([^"]+)">`).FindAllStringSubmatch(prose, -1) {
		page.ids = append(page.ids, m[1])
	}
	page.tables = tablesOf(span.ReplaceAllString(prose, ""))
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(prose, ""), -1) {
		page.links = append(page.links, m[1])
	}
	words := regexp.MustCompile(`[\d.]+ (?:million|billion)`)
	plain := words.ReplaceAllString(span.ReplaceAllString(link.ReplaceAllString(prose, "]"), ""), "")
	for _, number := range regexp.MustCompile(`\d+(?:[,.]\d+)*`).FindAllString(plain, -1) {
		page.numbers[number]++
	}
	pages[file] = page
	return page
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

// tablesOf are the sizes of the tables of a page.
func tablesOf(prose string) []string {
	var tables []string
	for _, table := range regexp.MustCompile(`(?m)(?:^ *\|.*\n)+`).FindAllString(prose+"\n", -1) {
		rows := strings.Split(strings.TrimSpace(table), "\n")
		columns := strings.Count(rows[0], "|") - strings.Count(rows[0], `\|`) - 1
		tables = append(tables, fmt.Sprintf("%d rows of %d columns", len(rows)-2, columns))
	}
	return tables
}
