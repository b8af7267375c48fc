package upstream

import (
	"reflect"
	"slices"
	"testing"
)

// TestEveryFieldOfAConfigurationCounts changes each field alone: a reload that Apply took for no change would be lost.
func TestEveryFieldOfAConfigurationCounts(t *testing.T) {
	t.Parallel()
	whole := DefaultConfig()
	whole.Targets, whole.TLS.SPKI = []Target{{URL: "http://127.0.0.1:3000", Weight: 1}}, []string{"pin"}
	fields := 0
	var visit func(at func(*Config) reflect.Value, name string)
	visit = func(at func(*Config) reflect.Value, name string) {
		changed := whole
		changed.Targets, changed.TLS.SPKI = slices.Clone(whole.Targets), slices.Clone(whole.TLS.SPKI)
		switch v := at(&changed); v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				visit(func(c *Config) reflect.Value { return at(c).Field(i) }, name+"."+v.Type().Field(i).Name)
			}
			return
		case reflect.Slice:
			visit(func(c *Config) reflect.Value { return at(c).Index(0) }, name)
			v.Set(reflect.Append(v, v.Index(0)))
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Float64:
			v.SetFloat(v.Float() + 1)
		case reflect.Int, reflect.Int64:
			if !v.CanSet() { // dials
				changed = changed.WithDials(changed.dials + 1)
				break
			}
			v.SetInt(v.Int() + 1)
		default:
			t.Fatalf("%s is a %s", name, v.Kind())
		}
		fields++
		if changed.equal(whole) || !changed.equal(changed) {
			t.Errorf("with another %s it is the same", name)
		}
	}
	visit(func(c *Config) reflect.Value { return reflect.ValueOf(c).Elem() }, "Config")
	if fields < 30 || !whole.equal(whole) {
		t.Errorf("%d fields were changed, and the whole equals itself: %v", fields, whole.equal(whole))
	}
}
