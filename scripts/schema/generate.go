package main

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"wxgate/authn/issuer"
	"wxgate/config"
	"wxgate/gateway"
	"wxgate/gateway/answer"
	"wxgate/gateway/cors"
	"wxgate/gateway/limit"
	"wxgate/gateway/quota"
	"wxgate/input"
	"wxgate/storage"
	"wxgate/upstream"
)

// schema is a JSON Schema, draft 7: what editors of YAML read.
type schema struct {
	Schema      string              `json:"$schema,omitempty"`
	Title       string              `json:"title,omitempty"`
	Description string              `json:"description,omitempty"`
	Default     any                 `json:"default,omitempty"`
	Ref         string              `json:"$ref,omitempty"`
	Type        []string            `json:"type,omitempty"`
	Enum        []any               `json:"enum,omitempty"`
	Pattern     string              `json:"pattern,omitempty"`
	Not         *schema             `json:"not,omitempty"`
	Minimum     *int64              `json:"minimum,omitempty"`
	Maximum     *int64              `json:"maximum,omitempty"`
	AnyOf       []*schema           `json:"anyOf,omitempty"`
	Properties  map[string]*schema  `json:"properties,omitempty"`
	Additional  any                 `json:"additionalProperties,omitempty"` // false, or the schema of the entries of a map
	Items       *schema             `json:"items,omitempty"`
	Unique      bool                `json:"uniqueItems,omitempty"`
	Required    []string            `json:"required,omitempty"`
	Needs       map[string][]string `json:"dependencies,omitempty"`
	Definitions map[string]*schema  `json:"definitions,omitempty"`
}

// The types of JSON. A key without a value leaves its default, so null is a value of every key.
const (
	object, array, text, number, integer, boolean, null = "object", "array", "string", "number", "integer", "boolean", "null"
)

// The definitions: a value with ${…} in it, which may stand for anything, and any text.
const (
	reference = "#/definitions/reference"
	anyText   = "#/definitions/text"
)

type generator struct {
	comments comments
	answers  answers
}

func generate(root string) (*schema, error) {
	g := generator{comments{root, map[string]map[string]string{}}, ask()}
	whole, err := g.section("", reflect.ValueOf(config.DefaultConfig()))
	if err != nil {
		return nil, err
	}
	whole.Schema, whole.Title = "http://json-schema.org/draft-07/schema#", "gateway.yaml of wxgate"
	whole.Definitions = map[string]*schema{
		"text": {
			Type: []string{text, number, boolean, null},
			Not:  &schema{Type: []string{text}, Pattern: `^\$[A-Za-z_][A-Za-z0-9_]*$`}, // a variable without braces
		},
		"reference": {Type: []string{text}, Pattern: `\$\{.+\}`, Description: "with ${NAME}, ${NAME:-default} or ${file:/path} in it"},
	}
	return whole, nil
}

// section is the schema of a struct that holds the defaults of its keys.
func (g *generator) section(path string, defaults reflect.Value) (*schema, error) {
	s := &schema{Type: []string{object, null}, Properties: map[string]*schema{}, Additional: false, Required: required(path), Needs: needs(path)}
	for i := range defaults.NumField() {
		field := defaults.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		property, err := g.value(strings.TrimPrefix(path+"."+name, "."), defaults.Field(i))
		if err != nil {
			return nil, err
		}
		if property.Description, err = g.comments.of(defaults.Type(), field); err != nil {
			return nil, err
		}
		property.Default = written(defaults.Field(i))
		s.Properties[name] = property
	}
	return s, nil
}

// value is the schema of a key, a list element or a map entry.
func (g *generator) value(path string, defaults reflect.Value) (*schema, error) {
	t := defaults.Type()
	if s := g.short(t); s != nil {
		return g.withLongForm(path, s, defaults)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.value(path, newValue(t.Elem()))
	case reflect.Struct:
		return g.section(path, defaults)
	case reflect.Slice:
		items, err := g.value(path+"[]", newValue(t.Elem()))
		return &schema{Type: []string{array, null}, Items: items, Unique: path == "routes[].methods"}, err
	case reflect.Map:
		entries, err := g.value(path+".*", newValue(t.Elem()))
		return &schema{Type: []string{object, null}, Additional: entries}, err
	case reflect.Bool:
		return orReference(&schema{Type: []string{boolean, null}}), nil
	case reflect.String:
		return g.text(path), nil
	case reflect.Float64:
		b := g.answers.bounds[path]
		return orReference(&schema{Type: []string{number, null}, Minimum: b.least, Maximum: b.most}), nil
	default:
		return orReference(g.number(path, defaults)), nil
	}
}

// number is a whole number within its bounds. A default may be outside of them: then it says nothing.
func (g *generator) number(path string, defaults reflect.Value) *schema {
	b, known := g.answers.bounds[path]
	if !known {
		b = beyond()[path]
	}
	if defaults.CanInt() && b.least != nil {
		least := min(*b.least, defaults.Int())
		b.least = &least
	}
	return &schema{Type: []string{integer, null}, Minimum: b.least, Maximum: b.most}
}

// text is any scalar: 123 is a text too where one is wanted. Of one of a few values, empty means that the key says nothing.
func (g *generator) text(path string) *schema {
	if pattern := patterns()[path]; pattern != "" {
		return orReference(&schema{Type: []string{text, null}, Pattern: pattern})
	}
	if g.answers.choices[path] == nil {
		return &schema{AnyOf: []*schema{{Ref: anyText}}} // draft 7 ignores what stands beside a $ref
	}
	choice := orReference(&schema{Enum: g.list(path)})
	if pattern := beside()[path]; pattern != "" {
		choice.AnyOf = append(choice.AnyOf, &schema{Type: []string{text}, Pattern: pattern})
	}
	return choice
}

// list are the values to choose from, and none.
func (g *generator) list(path string) []any {
	list := []any{nil}
	for _, each := range g.answers.choices[path] {
		list = append(list, each)
	}
	return list
}

// withLongForm adds to the short form of a type the sections or the list that it stands for.
func (g *generator) withLongForm(path string, s *schema, defaults reflect.Value) (*schema, error) {
	var long *schema
	var err error
	switch t := defaults.Type(); {
	case t.Kind() == reflect.Slice:
		long = &schema{Type: []string{array}, Items: &schema{Type: []string{text, number, null}}}
	case t.Kind() == reflect.Struct && hasKeys(t):
		long, err = g.section(path, defaults)
	default:
		return orReference(s), nil
	}
	return &schema{AnyOf: []*schema{s, {Ref: reference}, long}}, err
}

func orReference(s *schema) *schema { return &schema{AnyOf: []*schema{s, {Ref: reference}}} }

func hasKeys(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") != "" {
			return true
		}
	}
	return false
}

// short is how a type that reads itself, or a duration, is written in one value; nil: it is another type.
func (g *generator) short(t reflect.Type) *schema {
	scalar := func(pattern string, types ...string) *schema {
		return &schema{Type: append(types, text, null), Pattern: pattern}
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		s := scalar(`^(0|(\d+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*)$`, integer)
		s.Minimum, s.Maximum = new(int64), new(int64) // only 0 needs no unit
		return s
	case reflect.TypeFor[input.Size]():
		s := scalar(`^\d+ *([KMG]iB)?$`, integer)
		s.Minimum = new(int64)
		return s
	case reflect.TypeFor[limit.Rate]():
		return scalar(`^0*[1-9]\d*/[smh]$`)
	case reflect.TypeFor[quota.Daily]():
		return scalar(`^\d+/day$`)
	case reflect.TypeFor[limit.Network]():
		return scalar(`^[0-9A-Fa-f:.]+(/([1-9]?\d|1[01]\d|12[0-8]))?$`)
	case reflect.TypeFor[cors.Origin]():
		return scalar(`^(\*|[Hh][Tt][Tt][Pp][Ss]?://[^/]+)$`)
	case reflect.TypeFor[upstream.Target](), reflect.TypeFor[upstream.Config]():
		return scalar(target)
	case reflect.TypeFor[answer.Config]():
		return &schema{Enum: g.list("answers.preset")}
	case reflect.TypeFor[storage.EncryptionKeys]():
		return scalar(`^([A-Za-z0-9+/_-]{43}=?)?$`)
	case reflect.TypeFor[gateway.Paths](), reflect.TypeFor[issuer.Audience]():
		return &schema{Type: []string{text, null}}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return &schema{Type: []string{text, number, boolean, null}} // it judges what it reads
	}
	return nil
}

// written is a default as it would be written, nil where that is nothing or more than one value.
func written(v reflect.Value) any {
	if _, ok := v.Interface().(fmt.Stringer); ok && (v.Kind() == reflect.Struct || v.Kind() == reflect.Int64) {
		return input.Text(v.Interface())
	}
	switch v.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64, reflect.Uint16:
		return v.Interface()
	case reflect.String:
		if v.String() != "" {
			return v.String()
		}
	}
	return nil
}
