package strictyaml

import "reflect"

// Differ returns the paths of the keys whose values differ between two configurations of one type, in the order of its
// fields. Maps, lists and what has no keys of its own count as one value.
func Differ[T any](a, b T) []string { return differ(reflect.ValueOf(a), reflect.ValueOf(b), "") }

func differ(a, b reflect.Value, path string) (paths []string) {
	for _, f := range fieldsOf(a.Type()) {
		name := f.name
		if path != "" {
			name = path + "." + name
		}
		field, other := a.Field(f.index), b.Field(f.index)
		switch {
		case hasKeys(field.Type()):
			paths = append(paths, differ(field, other, name)...)
		case !reflect.DeepEqual(field.Interface(), other.Interface()):
			paths = append(paths, name)
		}
	}
	return paths
}

func hasKeys(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("yaml") != ""
}
