package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"wxgate/config"
	"wxgate/input"
)

// What no key takes: a text that is also a name that nothing has, and a number.
const (
	probe = "zz-probe"
	low   = -987654321
)

// bounds are the least and the most that a number may be.
type bounds struct{ least, most *int64 }

// answers are what the checker says about wrong values, by the path of the key.
type answers struct {
	choices map[string][]string // the values of a key that takes one of a few
	bounds  map[string]bounds
}

// ask sets each text and number to a wrong one, and reads what the checker says. Names that the file itself gives, such as
// those of upstreams, are no choice.
func ask() answers {
	found := answers{map[string][]string{}, map[string]bounds{}}
	cfg := config.DefaultConfig()
	probeStruct(reflect.ValueOf(&cfg).Elem(), func(v reflect.Value) {
		before := reflect.ValueOf(v.Interface())
		spoil(v)
		for _, fault := range cfg.Validate() {
			found.read(fault)
		}
		v.Set(before)
	})
	return found
}

func (a answers) read(fault input.Fault) {
	number := regexp.MustCompile(`(?:want |is not between )(\d+) (?:and|to|or) (\d+|more)`).FindStringSubmatch(fault.Message)
	switch _, list, isChoice := strings.Cut(fault.Message, `"`+probe+`" is not one of `); {
	case isChoice && !strings.Contains(list, entry):
		list, _, _ = strings.Cut(list, ";")
		a.choices[general(fault.Path)] = strings.Split(list, ", ")
	case !strings.Contains(fault.Message, strconv.Itoa(low)) && !strings.Contains(fault.Message, fmt.Sprint(float64(low))):
	case number != nil:
		b := bounds{least: new(int64)}
		*b.least, _ = strconv.ParseInt(number[1], 10, 64)
		if most, err := strconv.ParseInt(number[2], 10, 64); err == nil {
			b.most = &most
		}
		a.bounds[general(fault.Path)] = b
	case strings.HasSuffix(fault.Message, " is negative"):
		a.bounds[general(fault.Path)] = bounds{least: new(int64)}
	}
}

// spoil sets a text or a number to what no key takes.
func spoil(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(probe)
	case reflect.Float64:
		v.SetFloat(low)
	default:
		v.SetInt(low)
	}
}

// entry is the name of the entry that maps get.
const entry = "zz-entry"

// probeStruct calls each with every text and number below a section, which it fills with an element of each list and map meanwhile.
func probeStruct(section reflect.Value, each func(v reflect.Value)) {
	for i := range section.NumField() {
		if section.Type().Field(i).Tag.Get("yaml") != "" {
			probeValue(section.Field(i), each)
		}
	}
}

func probeValue(v reflect.Value, each func(v reflect.Value)) {
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Int64, reflect.Float64:
		each(v)
	case reflect.Struct:
		probeStruct(v, each)
	case reflect.Pointer:
		before := v.Interface()
		v.Set(newValue(v.Type().Elem()).Addr())
		probeValue(v.Elem(), each)
		v.Set(reflect.ValueOf(before))
	case reflect.Slice:
		before := v.Interface()
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), newValue(v.Type().Elem())))
		probeValue(v.Index(0), each)
		v.Set(reflect.ValueOf(before))
	case reflect.Map:
		before := v.Interface()
		v.Set(reflect.MakeMap(v.Type()))
		key, element := reflect.ValueOf(entry).Convert(v.Type().Key()), newValue(v.Type().Elem())
		probeValue(element, func(leaf reflect.Value) { // a map holds copies
			was := reflect.ValueOf(leaf.Interface())
			spoil(leaf)
			v.SetMapIndex(key, element)
			leaf.Set(was)
			each(leaf)
		})
		v.Set(reflect.ValueOf(before))
	}
}

// newValue is a settable value at its defaults.
func newValue(t reflect.Type) reflect.Value {
	made := reflect.New(t)
	if defaults, ok := made.Interface().(interface{ SetDefaults() }); ok {
		defaults.SetDefaults()
	}
	return made.Elem()
}

// general is the path of a key without what is only its place: routes[].auth, upstreams.*.balance.
func general(path string) string {
	path = regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, "[]")
	return strings.ReplaceAll(path, entry, "*")
}
