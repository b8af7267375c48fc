package command

import (
	"bytes"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"wxgate/config/schema"
)

// newSchema compiles the schema of gateway.yaml, as an editor does.
func newSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("gateway.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("gateway.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// against is what an editor with the schema says of a file: that it is no YAML, or what the schema does not allow.
func against(compiled *jsonschema.Schema, text string) error {
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return err
	}
	return compiled.Validate(document)
}

// TestTheSchemaAllowsWhatTheManualShows goes through gateway.yaml and every block of the manual that is a part of one.
func TestTheSchemaAllowsWhatTheManualShows(t *testing.T) {
	t.Parallel()
	compiled := newSchema(t)
	if err := against(compiled, readPage(t, "gateway.yaml")); err != nil {
		t.Errorf("gateway.yaml: %v", err)
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	sections, checked := topKeys(t), 0
	for _, page := range append(pages, "README.md", "README.zh.md") {
		for _, block := range blocks(t, page, "yaml") {
			var document map[string]any
			if yaml.Unmarshal([]byte(block), &document) != nil || !isPart(document, sections) {
				continue
			}
			checked++
			if err := against(compiled, block); err != nil {
				t.Errorf("%s: %v\n%s", page, err, block)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d blocks of the manual are parts of gateway.yaml", checked)
	}
}

// topKeys are the sections of the schema.
func topKeys(t *testing.T) []string {
	t.Helper()
	var document struct{ Properties map[string]any }
	if err := yaml.Unmarshal(schema.JSON(), &document); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(document.Properties))
}

func isPart(document map[string]any, sections []string) bool {
	for key := range document {
		if !slices.Contains(sections, key) {
			return false
		}
	}
	return len(document) > 0
}

// TestTheSchemaRefusesWhatTheCheckerRefuses goes through testdata/config. What a schema cannot say, such as that a name is
// one of the file's upstreams, has a line "#schema: " with the reason.
func TestTheSchemaRefusesWhatTheCheckerRefuses(t *testing.T) {
	t.Parallel()
	compiled := newSchema(t)
	fixtures, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(fixtures) < 100 {
		t.Fatalf("got %d fixtures and error %v, want 100 or more", len(fixtures), err)
	}
	refused := 0
	for _, fixture := range fixtures {
		text := readPage(t, fixture)
		reason := regexp.MustCompile(`(?m)^#schema: (.+)$`).FindStringSubmatch(text)
		switch err := against(compiled, text); {
		case err != nil && reason != nil:
			t.Errorf("%s: the schema refuses it, and the fixture says that it cannot, because %s:\n%v", fixture, reason[1], err)
		case err == nil && reason == nil && !strings.Contains(text, "#= warning: "):
			t.Errorf("%s: the schema allows it; write #schema: and why it cannot tell", fixture)
		case err != nil:
			refused++
		}
	}
	t.Logf("the schema refuses %d of %d", refused, len(fixtures))
}
