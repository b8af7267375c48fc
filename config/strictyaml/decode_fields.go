package strictyaml

import (
	"reflect"
	"strings"
)

// field is a struct field that a file can set.
type field struct {
	name  string // the yaml tag
	index int
}

type fields []field

// fieldsOf lists the fields that have a yaml tag; a field without one cannot be set from a file.
func fieldsOf(t reflect.Type) fields {
	var tagged fields
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			tagged = append(tagged, field{name, i})
		}
	}
	return tagged
}

func (fs fields) index(name string) (int, bool) {
	for _, f := range fs {
		if f.name == name {
			return f.index, true
		}
	}
	return 0, false
}

func (fs fields) names() []string {
	names := make([]string, 0, len(fs))
	for _, f := range fs {
		names = append(names, f.name)
	}
	return names
}
