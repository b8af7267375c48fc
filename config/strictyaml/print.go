package strictyaml

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"wxgate/input"
)

// masked stands in the place of what is not shown.
const masked = "***"

// References are what a file has written in the place of values, such as ${JWT_SECRET}, by the path of their keys.
type References map[string]string

// References returns those of the file.
func (p Places) References() References { return p.written.references }

// With returns r with what before has at some paths and below them, in place of its own there.
func (r References) With(before References, paths []string) References {
	under := func(path, _ string) bool {
		return slices.ContainsFunc(paths, func(section string) bool { return within(path, section) })
	}
	merged := maps.Clone(before)
	maps.DeleteFunc(merged, func(path, text string) bool { return !under(path, text) })
	for path, text := range r {
		if !under(path, text) {
			if merged == nil {
				merged = References{}
			}
			merged[path] = text
		}
	}
	return merged
}

// Print writes a configuration, a struct with yaml tags, as YAML with every key; in the entries of a list, with those that differ
// from the defaults of an entry. What a reference stands for is never shown, but the reference. Values that print as ***,
// those at paths that hide wants hidden, and passwords in URLs are *** too.
func Print(cfg any, references References, hide func(path string) bool) string {
	p := &printer{
		references: references, hide: hide,
		plain: regexp.MustCompile(`^[A-Za-z/.][A-Za-z0-9_./-]*$`), password: regexp.MustCompile(`://[^/?#]*@`),
	}
	p.fields(reflect.ValueOf(cfg), reflect.Value{}, cursor{}, "")
	return p.text.String()
}

type printer struct {
	references References
	hide       func(path string) bool
	plain      *regexp.Regexp // what needs no quotes
	password   *regexp.Regexp // what stands before the @ of a URL
	text       strings.Builder
}

// fields writes the keys of a struct, each on a line that begins with indent: those that differ from defaults, if there are any.
func (p *printer) fields(section, defaults reflect.Value, at cursor, indent string) {
	for _, f := range fieldsOf(section.Type()) {
		var usual reflect.Value
		if defaults.IsValid() {
			usual = defaults.Field(f.index)
			if sameValue(section.Field(f.index), usual) {
				continue
			}
		}
		p.key(f.name, section.Field(f.index), usual, at, indent)
	}
}

// sameValue takes lists and maps without entries for equal, whether they were made or not.
func sameValue(a, b reflect.Value) bool {
	switch {
	case (a.Kind() == reflect.Slice || a.Kind() == reflect.Map) && a.Len() == 0:
		return b.Len() == 0
	case a.Kind() == reflect.Struct && isSection(a.Type()):
		return !slices.ContainsFunc(fieldsOf(a.Type()), func(f field) bool { return !sameValue(a.Field(f.index), b.Field(f.index)) })
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// key writes a key and its value, unless that is a pointer to nothing.
func (p *printer) key(name string, value, defaults reflect.Value, at cursor, indent string) {
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return
		}
		value, defaults = value.Elem(), reflect.Value{}
	}
	p.text.WriteString(indent + p.quoted(name) + ":")
	p.value(value, defaults, at.key(name, nil), indent)
}

// value writes what stands behind a key or a dash, and the end of the line.
func (p *printer) value(value, defaults reflect.Value, at cursor, indent string) {
	reference, refers := p.references[at.path]
	switch {
	case refers:
		p.text.WriteString(" " + p.quoted(reference) + "\n")
	case value.Kind() == reflect.Struct && isSection(value.Type()):
		p.text.WriteString("\n")
		p.fields(value, defaults, at, indent+"  ")
	case value.Kind() == reflect.Map && value.Len() > 0:
		p.text.WriteString("\n")
		keys := slices.SortedFunc(slices.Values(value.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			p.key(key.String(), value.MapIndex(key), reflect.Value{}, at, indent+"  ")
		}
	case value.Kind() == reflect.Map:
		p.text.WriteString(" {}\n")
	case value.Kind() == reflect.Slice && value.Len() > 0:
		p.text.WriteString("\n")
		for i := range value.Len() {
			p.element(value.Index(i), at.element(i, nil), indent+"  ")
		}
	case value.Kind() == reflect.Slice:
		p.text.WriteString(" []\n")
	default:
		p.text.WriteString(" " + p.scalar(value, at.path) + "\n")
	}
}

// element writes an element of a list. The first key of a section stands behind the dash.
func (p *printer) element(value reflect.Value, at cursor, indent string) {
	p.text.WriteString(indent + "-")
	_, refers := p.references[at.path]
	if refers || value.Kind() != reflect.Struct || !isSection(value.Type()) {
		p.value(value, reflect.Value{}, at, indent)
		return
	}
	entry := &printer{references: p.references, hide: p.hide, plain: p.plain, password: p.password}
	entry.fields(value, newValue(value.Type()), at, indent+"  ")
	if entry.text.Len() == 0 {
		p.text.WriteString(" {}\n")
		return
	}
	p.text.WriteString(" " + strings.TrimPrefix(entry.text.String(), indent+"  "))
}

func (p *printer) scalar(value reflect.Value, path string) string {
	text := input.Text(value.Interface())
	switch {
	case value.Kind() == reflect.String && value.Len() == 0:
		return `""`
	case p.hide(path):
		return p.quoted(masked)
	case takesText(value.Type()):
		text = p.password.ReplaceAllLiteralString(text, "://"+masked+"@")
		return p.quoted(strings.ReplaceAll(text, "$", "$$")) // so that it is no reference
	}
	return text
}

// quoted writes a text so that it is read as a text: in quotes, as JSON has them, unless it is plain beyond doubt.
func (p *printer) quoted(text string) string {
	plain := p.plain.MatchString(text)
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan":
		plain = false
	}
	if plain {
		return text
	}
	var quoted strings.Builder
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a text can always be written
	return strings.TrimSuffix(quoted.String(), "\n")
}
