package strictyaml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzConfig: whatever somebody writes into gateway.yaml, the reader survives it and every fault points into the file.
func FuzzConfig(f *testing.F) {
	fixtures, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, fixture := range fixtures {
		data, err := os.ReadFile(fixture)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	noFiles := expander{env: testEnv, readFile: func(string) ([]byte, error) { return nil, os.ErrNotExist }}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, faults := decode("f", data, noFiles, exampleDefaults())
		for _, fault := range faults {
			checkPlace(t, fault, string(data))
		}
	})
}

func checkPlace(t *testing.T, fault Fault, text string) {
	t.Helper()
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	if fault.Line < 1 || fault.Line > len(lines) {
		t.Fatalf("got line %d, want one of 1 to %d: %v, for %q", fault.Line, len(lines), fault, text)
	}
	width := utf8.RuneCountInString(lines[fault.Line-1])
	if fault.Col < 1 || fault.Col > width+1 {
		t.Fatalf("got column %d, want one of 1 to %d: %v, for %q", fault.Col, width+1, fault, text)
	}
}
