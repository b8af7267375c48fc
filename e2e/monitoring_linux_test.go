package e2e

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheRulesFireWhenTheyShould and are still when nearly so, as promtool tries them.
func TestTheRulesFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "wxgate.rules.yml")
	promtool(t, "", "check", "config", "prometheus.yml")
	promtool(t, "", "test", "rules", "minutes_test.yml", "days_test.yml")
}

// TestEveryAlertIsTriedAndHasASectionOfTheRunbook.
func TestEveryAlertIsTriedAndHasASectionOfTheRunbook(t *testing.T) {
	t.Parallel()
	found := func(pattern string, files ...string) map[string]bool {
		t.Helper()
		all := map[string]bool{}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(string(text), -1) {
				all[m[1]] = true
			}
		}
		return all
	}
	tests := []string{"../deploy/prometheus/minutes_test.yml", "../deploy/prometheus/days_test.yml"}
	const rules = "../deploy/prometheus/wxgate.rules.yml"
	alerts := found(`- alert: (\w+)$`, rules)
	if len(alerts) < 30 {
		t.Fatalf("found %d alerts: the test reads them wrongly", len(alerts))
	}
	same := func(what string, got map[string]bool) {
		t.Helper()
		if !maps.Equal(got, alerts) {
			t.Errorf("%s of %v, want one of each alert: %v", what, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(alerts)))
		}
	}
	same("docs/runbook.md has sections", found(`^## (\w+)$`, "../docs/runbook.md"))
	same("what must fire is tried", found(`- name: (Wxgate\w+)$`, tests...))
	same("what must not fire is tried", found(`- name: not (Wxgate\w+)$`, tests...))
	links := found(`runbook_url: docs/runbook\.md#(\w+)$`, rules)
	for alert := range alerts {
		if !links[strings.ToLower(alert)] || len(links) != len(alerts) {
			t.Errorf("%s has no link to its section", alert)
		}
	}
}

// TestTheBoardIsOneThatGrafanaTakes, as far as that can be seen without Grafana.
func TestTheBoardIsOneThatGrafanaTakes(t *testing.T) {
	t.Parallel()
	b := readBoard(t)
	if b.SchemaVersion < 36 { // from which on data sources are objects
		t.Errorf("schemaVersion is %d", b.SchemaVersion)
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range b.Templating.List {
		variables[v.Name] = true
	}
	if len(b.Templating.List) == 0 || b.Templating.List[0].Type != "datasource" || b.Templating.List[0].Name != "datasource" {
		t.Errorf("the first variable is %v, want the data source", b.Templating.List)
	}
	ids, used := map[int]bool{}, map[[2]int]string{}
	for _, p := range b.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("%s has the id %d, which is none or another panel's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := used[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("%s lies upon %q at %d,%d", p.Title, other, x, y)
				}
				used[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s lacks a description, a unit, queries or the data source", p.Title)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s has a query %q twice, or of another data source", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[v[1]] {
					t.Errorf("%s uses $%s, which the board does not have", p.Title, v[1])
				}
			}
		}
	}
}
