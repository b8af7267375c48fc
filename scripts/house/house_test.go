package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// build writes a repository of these files, and returns its folder.
func build(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const big = `// Package big is measured.
package big

import fiber "github.com/gofiber/fiber/v2"

// Big has methods.
type Big[T any] struct{}

// Wide has too many methods.
type Wide interface {
	A()
	B()
	C()
	D()
	E()
	F()
	G()
}

// Name is exported, as is
const Name, other = "big", 2

func (b *Big[T]) One() {
	_ = fiber.New
	/* two
	   lines */
}
`

func TestARoomIsMeasured(t *testing.T) {
	t.Parallel()
	rooms, err := measure(build(t, map[string]string{
		"big/one.go": big, "big/one_linux.go": "package big\n\nfunc (Big[T]) two() {}\n", "big/one_test.go": "package big\n\nvar x = 1\n",
		"big/testdata/no.go": "no Go", ".cache/no.go": "no Go", "kittest/kit.go": "package kittest\n\ntype Wide interface{ A(); B(); C(); D(); E(); F(); G() }\n",
	}))
	if err != nil || len(rooms) != 2 {
		t.Fatalf("got %d rooms, %v", len(rooms), err)
	}
	r := rooms[0]
	biggest := r.biggest()
	if r.folder != "big" || len(r.files) != 1 || r.code != 18 || r.testCode != 2 || r.exported != 4 || len(r.functions) != 2 || r.functions[0] != 5 ||
		biggest.name != "Big" || biggest.methods != 2 || len(biggest.files) != 1 {
		t.Errorf("got %+v with %+v", r, biggest)
	}
	got := strings.Join(judge(rooms), "\n")
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "big.Wide has methods: 7, want at most 6") || !strings.Contains(got, "big imports the web framework in files: 1, want at most 0") {
		t.Errorf("got\n%s", got)
	}
}

func TestATypeWhoseMethodsAreEverywhereIsAFault(t *testing.T) {
	t.Parallel()
	for files, says := range map[int]string{6: "", 7: "gateway.Gateway has methods in files: 7, want at most 6"} {
		spread := &methodSet{name: "Gateway", files: map[string]struct{}{}}
		for i := range files {
			spread.files[strings.Repeat("x", i)] = struct{}{}
		}
		got := strings.Join(judge([]*room{{folder: "gateway", types: map[string]*methodSet{"Gateway": spread}}}), "\n")
		if (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("methods in %d files: got %q, want %q", files, got, says)
		}
	}
}

func TestThePictureHasTheArrowsThatNoOtherImplies(t *testing.T) {
	t.Parallel()
	root := build(t, map[string]string{
		"main.go": "package main\n\nimport _ \"wxgate/a\"\nimport _ \"wxgate/a/b\"\n", "a/a.go": "package a\n\nimport _ \"wxgate/a/b\"\nimport _ \"wxgate/leaf\"\n",
		"a/b/b.go": "package b\n", "leaf/leaf.go": "package leaf\n", "kittest/kit.go": "package kittest\n\nimport _ \"wxgate/a\"\n",
		picture: "# Page\n\n" + begins + "old\n" + ends + "rest\n",
	})
	rooms, err := measure(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if changed, err := redraw(root, rooms, true); err != nil || changed != want {
			t.Errorf("got %t, %v, want %t", changed, err, want)
		}
	}
	page, err := os.ReadFile(filepath.Join(root, picture))
	want := "# Page\n\n" + begins + "flowchart TD\n  main[\"main.go\"] --> a[\"a\"]\n  a[\"a\"] --> a_b[\"a/b\"]\n" + ends + "rest\n"
	if err != nil || string(page) != want {
		t.Errorf("got %v and\n%s\nwant\n%s", err, page, want)
	}
}

func TestThisHouseIsInOrder(t *testing.T) {
	t.Parallel()
	var out, faults bytes.Buffer
	if code := run(&out, &faults, filepath.Join("..", ".."), false); code != 0 || !strings.Contains(out.String(), "gateway") {
		t.Errorf("exit code %d:\n%s", code, faults.String())
	}
}
