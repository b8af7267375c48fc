package main

import (
	"os"
	"strings"
	"testing"
)

// TestEachPointHasItsTestAndItsRows holds the points to the tests of their names and to both pages of the manual.
func TestEachPointHasItsTestAndItsRows(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	front, back := read("miniprogram/tests/e2e/acceptance.test.mjs"), read("e2e/acceptance_test.go")
	english, chinese := read("docs/acceptance.md"), read("docs/zh/acceptance.md")
	for i, p := range points() {
		where, begins := back, "func "+p.test+"(t *testing.T)"
		if p.front {
			where, begins = front, "test('"+p.test+"'"
			if strings.Contains(p.test, "'") {
				begins = `test("` + p.test + `"`
			}
		}
		if strings.Count(where, begins) != 1 {
			t.Errorf("point %d, %s: there is not one %s", i+1, p.name, begins)
		}
		if !strings.Contains(english, "| "+p.name+" |") || !strings.Contains(chinese, "| "+p.chinese+" |") {
			t.Errorf("point %d, %s (%s): a page of the manual has no row of it", i+1, p.name, p.chinese)
		}
	}
}

// TestReportSaysWhatFailedAndWhatDidNotRun reads what both runners print.
func TestReportSaysWhatFailedAndWhatDidNotRun(t *testing.T) {
	t.Parallel()
	results := map[string]bool{}
	readGo([]byte(`{"Action":"pass","Package":"wxgate/e2e","Test":"TestAJWTIsMade"}`), results)
	readGo([]byte(`{"Action":"fail","Package":"wxgate/e2e","Test":"TestItIsVerified"}`), results)
	readTAP([]byte("ok 1 - wx.login gives a code"), results)
	readTAP([]byte("not ok 2 - logging out works"), results)
	var table strings.Builder
	if report(&table, points(), results) {
		t.Error("it reports that all passed")
	}
	for name, result := range map[string]string{
		"a JWT is made": "passed", "it is verified": "FAILED", "wx.login gives a code": "passed", "logging out works": "FAILED",
		"the token is stored": "did not run",
	} {
		found := false
		for line := range strings.Lines(table.String()) {
			found = found || strings.Contains(line, "| "+name+" ") && strings.Contains(line, "| "+result+" ")
		}
		if !found {
			t.Errorf("%s is not reported as %s:\n%s", name, result, table.String())
		}
	}
	if !strings.HasSuffix(table.String(), "\n2 of 14 passed\n") {
		t.Errorf("the report ends otherwise:\n%s", table.String())
	}
}
