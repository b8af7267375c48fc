package strictyaml

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"wxgate/input"
)

const (
	knownKeysListed = 32 // more than that is a page, not a hint
	homesNamed      = 3
)

// unknownKey says that name is not among the known keys, which one was probably meant, or in which sections it is known.
func unknownKey(name string, known, homes []string) string {
	if advice, _ := strange(name); advice != "" {
		return "unknown key; " + advice
	}
	if _, key := keyWithoutBlank(name); key != "" {
		return "unknown key; " + blankAfter(key)
	}
	if key, _, more := strings.Cut(strings.ReplaceAll(name, "=", " "), " "); more && slices.Contains(known, key) {
		return fmt.Sprintf(`unknown key; a key and its value are written "%s: …", with a colon and a blank`, key)
	}
	if meant, ok := input.Closest(name, known); ok {
		return "unknown key" + input.DidYouMean(meant)
	}
	switch {
	case len(homes) > 0:
		return "unknown key; it belongs to " + strings.Join(homes, " or ")
	case len(known) <= knownKeysListed:
		return "unknown key; the keys here are " + strings.Join(known, ", ")
	}
	return "unknown key"
}

// shown is the part of an unknown key that may be shown. What stands behind a blank or an equals sign may be a value that ran
// into its key, and a key in { } without a value may be the rest of one with a comma in it: either may be a secret.
func shown(key pair, section ast.MapNode) string {
	_, empty := key.value.(*ast.NullNode)
	if flow, ok := section.(*ast.MappingNode); ok && flow.IsFlowStyle && empty && !strings.ContainsAny(key.name, " =:") {
		return "…"
	}
	end := strings.IndexFunc(key.name, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("=:：,，;；", r) })
	if end > 0 {
		return key.name[:end] + "…"
	}
	return key.name
}

// homes are the sections that know a key which the one at path, of type here, does not: those below that section or,
// when none is, those of the whole file. Only the least deep count, and many are no hint.
func (d *decoder) homes(key, path string, here reflect.Type) []string {
	found := sectionsWith(key, path, here)
	if len(found) == 0 && here != d.root && !slices.Contains(d.top, key) {
		found = sectionsWith(key, "", d.root)
	}
	if len(found) > homesNamed {
		return nil
	}
	return found
}

// sectionsWith are the paths of the sections nearest below a type that have a key.
func sectionsWith(key, path string, below reflect.Type) (found []string) {
	type section struct {
		path string
		t    reflect.Type
	}
	level := []section{{path, below}}
	for seen := map[reflect.Type]bool{}; len(level) > 0 && len(found) == 0; {
		var next []section
		for _, s := range level {
			if seen[s.t] {
				continue
			}
			seen[s.t] = true
			for _, f := range fieldsOf(s.t) {
				at, t := sectionOf(strings.TrimPrefix(s.path+"."+f.name, "."), s.t.Field(f.index).Type)
				if !isSection(t) || t.Kind() != reflect.Struct {
					continue
				}
				next = append(next, section{at, t})
				if _, known := fieldsOf(t).index(key); known {
					found = append(found, at)
				}
			}
		}
		level = next
	}
	return found
}

// sectionOf is the section that a key holds, or that the entries of its list or map are, with its path.
func sectionOf(path string, t reflect.Type) (string, reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		return sectionOf(path, t.Elem())
	case reflect.Slice:
		return sectionOf(path+"[]", t.Elem())
	case reflect.Map:
		return sectionOf(path+".NAME", t.Elem())
	}
	return path, t
}
