package gateway

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/wire"
)

// rowsOf are the cells of the table rows of a page of the manual whose first cell is `code`, by what that says.
func rowsOf(t *testing.T, page string, first *regexp.Regexp) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for _, found := range first.FindAllStringSubmatch(cells[0], -1) {
			rows[found[1]] = cells
		}
	}
	return rows
}

func TestTheManualHasTheErrorTable(t *testing.T) {
	t.Parallel()
	documented := rowsOf(t, "../docs/api.md", regexp.MustCompile("^ `([a-z][a-z_]+)` $"))
	inCode := map[string]bool{}
	for _, f := range answer.NewTable() {
		inCode[f.Reason] = true
		cells := documented[f.Reason]
		if len(cells) != 5 {
			t.Errorf("docs/api.md has %d cells for %s, want reason, status, message, when, client", len(cells), f.Reason)
			continue
		}
		if got := strings.TrimSpace(cells[1]); got != strconv.Itoa(f.Status) {
			t.Errorf("docs/api.md says %s for %s, want %d", got, f.Reason, f.Status)
		}
		if !strings.Contains(cells[2], f.Message) {
			t.Errorf("docs/api.md says %s for %s, want also %s", cells[2], f.Reason, f.Message)
		}
	}
	for reason, cells := range documented {
		if !inCode[reason] && len(cells) == 5 {
			t.Errorf("docs/api.md explains %s, which no answer of ours has", reason)
		}
	}
}

// TestEachReasonHasASectionWithItsCauseAndCure holds docs/errors.md, in both languages, to the error table.
func TestEachReasonHasASectionWithItsCauseAndCure(t *testing.T) {
	t.Parallel()
	table := answer.NewTable()
	for page, want := range map[string][]string{
		"../docs/errors.md":    {"\n- **Cause**: ", "\n- **Front end**: ", "\n- **Operator**: "},
		"../docs/zh/errors.md": {"\n- **原因**：", "\n- **前端**：", "\n- **运维**："},
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		for _, section := range strings.Split(string(text), "\n## ")[1:] {
			reason, body, _ := strings.Cut(section, "\n")
			sections[reason] = body
		}
		inCode := map[string]bool{}
		for _, f := range table {
			inCode[f.Reason] = true
			for _, part := range append([]string{"**" + strconv.Itoa(f.Status) + "** · ", f.Message}, want...) {
				if !strings.Contains(sections[f.Reason], part) {
					t.Errorf("%s: the section %s lacks %q", page, f.Reason, part)
				}
			}
			if !strings.Contains(string(text), "[`"+f.Reason+"`](#"+f.Reason+")") {
				t.Errorf("%s: the table on top does not lead to %s", page, f.Reason)
			}
		}
		for reason := range sections {
			if !inCode[reason] {
				t.Errorf("%s explains %s, which no answer of ours has", page, reason)
			}
		}
	}
}

func TestTheManualHasTheTableOfErrcodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, inCode []string
	for _, row := range regexp.MustCompile("(?m)^\\| (-?\\d+) \\| (?:([\\w/]+) )?\\| `(\\w+)` \\|$").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, strings.Join(row[1:], " "))
	}
	table := answer.NewTable()
	for _, row := range authn.Errcodes() {
		inCode = append(inCode, strings.Join([]string{strconv.Itoa(row.Code), row.API, table.Lookup(row.Kind).Reason}, " "))
	}
	slices.Sort(documented)
	slices.Sort(inCode)
	if !slices.Equal(documented, inCode) {
		t.Errorf("docs/api.md has the errcodes\n%s\nwant\n%s", strings.Join(documented, "\n"), strings.Join(inCode, "\n"))
	}
}

func TestTheManualSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	documented := rowsOf(t, "../docs/api.md", regexp.MustCompile("^ `([a-z][a-z_]+)` $"))
	for _, f := range answer.NewTable() {
		cells := documented[f.Reason]
		if f.RetryAfter == 0 || len(cells) != 5 {
			continue
		}
		number := regexp.MustCompile(`\b` + strconv.Itoa(f.RetryAfter) + `\b`)
		if !strings.Contains(cells[3], "Retry-After") || !number.MatchString(cells[3]) {
			t.Errorf("docs/api.md says %q of %s, want Retry-After %d", cells[3], f.Reason, f.RetryAfter)
		}
	}
}

func TestTheManualHasEveryRuleOfTheStrictReader(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("wire/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := rowsOf(t, "../docs/proxy.md", regexp.MustCompile("^ `([a-z][a-z0-9 /.-]+)` $"))
	inCode := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t[rR]eason\w+ +Reason = "`).FindAllStringIndex(string(source), -1) {
		rule, _, _ := strings.Cut(string(source)[m[1]:], `"`)
		inCode[rule] = true
		cells := documented[rule]
		status := (&wire.MalformedError{Reason: wire.Reason(rule)}).Status()
		if len(cells) != 4 || strings.TrimSpace(cells[1]) != strconv.Itoa(status) {
			t.Errorf("docs/proxy.md has %q for the rule %s, want rule, status %d, what, section", cells, rule, status)
		}
	}
	if len(inCode) < 30 {
		t.Fatalf("found %d rules in wire/errors.go: the test reads it wrongly", len(inCode))
	}
	for rule, cells := range documented {
		if !inCode[rule] && len(cells) == 4 && regexp.MustCompile(`^ \d+ $`).MatchString(cells[1]) {
			t.Errorf("docs/proxy.md explains the rule %s, which the reader does not have", rule)
		}
	}
}

func TestTheManualListsTheEndpoints(t *testing.T) {
	t.Parallel()
	public, all := map[string]bool{}, map[string]bool{}
	for _, e := range endpoints(&snapshot{cfg: DefaultConfig()}) {
		public[e.method+" "+e.path], all[e.method+" "+e.path] = true, true
	}
	source, err := os.ReadFile("admin/api.go")
	if err != nil {
		t.Fatal(err)
	}
	patterns := regexp.MustCompile(`(?m)^\t\t\{"((?:GET|POST|PUT|DELETE) /[^"]+)", `).FindAllSubmatch(source, -1)
	if len(patterns) < 15 {
		t.Fatalf("found %d endpoints in admin/api.go: the test reads it wrongly", len(patterns))
	}
	for _, m := range patterns {
		all[string(m[1])] = true
	}
	wantEndpoints(t, "../docs/api.md", all)
	wantEndpoints(t, "../README.md", public)
	wantEndpoints(t, "../README.zh.md", public)
}

// wantEndpoints wants a table row for each endpoint, HEAD apart, and no row for another one.
func wantEndpoints(t *testing.T, page string, inCode map[string]bool) {
	t.Helper()
	documented := rowsOf(t, page, regexp.MustCompile("`((?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[^`]*)`"))
	for e := range inCode {
		if _, found := documented[e]; !found && !strings.HasPrefix(e, "HEAD ") {
			t.Errorf("%s has no row for %s", page, e)
		}
	}
	for e := range documented {
		if !inCode[e] {
			t.Errorf("%s has a row for %s, which is no endpoint of ours", page, e)
		}
	}
}
