package strictyaml

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"wxgate/input"
)

// mostValues bounds what a file may unfold to: ten lines of aliases can stand for a billion values.
const mostValues = 200_000

// decode sets the fields of into, a pointer to a struct that holds the defaults, to what the file says. It stops at
// no fault: those of the whole file come back together, with the place of every key that was read.
//
// A key is a field's yaml tag; an unknown or repeated one is a fault. A key without a value (`log:` with everything
// below it commented out) leaves the default. A section fills in what its default already holds; a list or a map
// replaces its default. New list elements and map entries begin at their SetDefaults, if they have that method. A type
// with UnmarshalText reads a scalar itself; a struct that has it takes the scalar as its short form and a section too.
func decode(file string, data []byte, expand expander, into any) (positions, Faults) {
	text := plainText(data)
	d := &decoder{expand: expand, lines: strings.Split(text, "\n"), written: newPositions(file, strings.Count(text, ":")), fields: map[reflect.Type]fields{}}
	root, misread := parseDocument(text)
	if misread != nil {
		d.faultAt(misread.position, "", misread.message)
		return d.written, d.faults
	}
	d.aliases = resolveAliases(root)
	d.root = reflect.TypeOf(into).Elem()
	d.top = fieldsOf(d.root).names()
	d.value(cursor{node: root}, reflect.ValueOf(into).Elem())
	return d.written, d.faults
}

type decoder struct {
	expand  expander
	lines   []string
	aliases map[*ast.AliasNode]ast.Node
	written positions
	faults  Faults
	fields  map[reflect.Type]fields
	root    reflect.Type
	top     []string // the keys of the first column
	values  int      // how many were decoded, those of aliases once per use
}

// cursor is a node of the file and the path that leads to it.
type cursor struct {
	node  ast.Node
	path  string
	depth int
}

func (at cursor) key(name string, node ast.Node) cursor {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	return cursor{node, strings.TrimPrefix(at.path+"."+name, "."), at.depth + 1}
}

func (at cursor) element(i int, node ast.Node) cursor {
	return cursor{node, at.path + "[" + strconv.Itoa(i) + "]", at.depth + 1}
}

// value decodes one node into one Go value.
func (d *decoder) value(at cursor, into reflect.Value) {
	switch node := d.resolve(at).(type) {
	case nil, *ast.NullNode:
	case ast.MapNode:
		d.mapping(at, node, pointee(into))
	case *ast.SequenceNode:
		d.sequence(at, node, pointee(into))
	case ast.ScalarNode:
		d.scalar(at, node, pointee(into))
	default:
		d.fault(at, "not a value")
	}
}

func (d *decoder) mapping(at cursor, node ast.MapNode, into reflect.Value) {
	switch {
	case into.Kind() == reflect.Struct && len(d.fieldsOf(into.Type())) > 0:
		d.structure(at, node, into)
	case into.Kind() == reflect.Map:
		d.entries(at, node, into)
	case into.Kind() == reflect.Slice:
		d.fault(at, `wants a list, not keys and values; each entry of a list begins with "- "`)
	case into.Kind() == reflect.String:
		d.fault(at, `wants text, not keys and values; text with a colon and a blank in it goes in quotes`)
	default:
		d.fault(at, fmt.Sprintf("wants %s, not keys and values", wanted(into.Type())))
	}
}

func (d *decoder) structure(at cursor, node ast.MapNode, into reflect.Value) {
	fields := d.fieldsOf(into.Type())
	for _, p := range d.pairs(at, node) {
		index, known := fields.index(p.name)
		next := at.key(p.name, p.value)
		if !known {
			next = at.key(shown(p, node), p.value)
		}
		d.written.at[next.path] = p.position
		if known {
			d.value(next, into.Field(index))
		} else {
			d.fault(next, unknownKey(p.name, fields.names(), d.homes(p.name, at.path, into.Type())))
			if advice, _ := strange(p.name); advice != "" { // whatever it was to be part of is not where it seems
				d.faults[len(d.faults)-1].elsewhere = everywhere
			}
		}
	}
}

func (d *decoder) entries(at cursor, node ast.MapNode, into reflect.Value) {
	into.Set(reflect.MakeMap(into.Type()))
	for _, p := range d.pairs(at, node) {
		next := at.key(p.name, p.value)
		d.written.at[next.path] = p.position
		entry := newValue(into.Type().Elem())
		d.value(next, entry)
		into.SetMapIndex(reflect.ValueOf(p.name).Convert(into.Type().Key()), entry)
	}
}

func (d *decoder) sequence(at cursor, node *ast.SequenceNode, into reflect.Value) {
	if into.Kind() != reflect.Slice {
		advice := ""
		if holdsKeys(into.Type()) && !node.IsFlowStyle {
			advice = `: leave out the "- "`
		}
		d.fault(at, fmt.Sprintf("wants %s, not a list%s", wanted(into.Type()), advice))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(node.Values), len(node.Values)))
	for i, value := range node.Values {
		next := at.element(i, value)
		d.written.at[next.path] = nodePosition(value)
		setDefaults(into.Index(i).Addr())
		d.value(next, into.Index(i))
	}
}

func (d *decoder) scalar(at cursor, node ast.ScalarNode, into reflect.Value) {
	written := scalarText(node)
	if holdsKeys(into.Type()) && !strings.Contains(written, "${") {
		message := "wants " + wanted(into.Type()) + ", not a text"
		if into.Kind() == reflect.Slice {
			message += `; each entry of a list begins with "- "`
		}
		d.fault(at, withBlank(withAdvice(message, written), written))
		return
	}
	if isLoneVariable(written) {
		d.fault(at, "a variable stands between braces: ${NAME}; for a text that begins with $ write $$")
		return
	}
	value, err := d.expand.at(at.path, takesText(into.Type())).expand(written)
	if value != written {
		d.written.references[at.path] = written
	}
	if err == nil {
		err = setScalar(into, value, written)
	}
	if err != nil && (into.Kind() != reflect.String || misspelled(written)) {
		d.fault(at, withAdviceOnValue(err.Error(), written))
	} else if err != nil {
		d.fault(at, err.Error())
	}
	if misspelled(written) {
		d.written.misspelled[at.path] = written
	}
}

func (d *decoder) fault(at cursor, message string) {
	name := at.path[strings.LastIndexByte(at.path, '.')+1:]
	misplaced := name != at.path && slices.Contains(d.top, name)
	if misplaced {
		message += fmt.Sprintf("; %s is a section of its own and begins in the first column", name)
	}
	place := d.written.find(at.path)
	if place == (position{}) { // the root is written nowhere
		place = nodePosition(at.node)
	}
	d.faultAt(place, at.path, message)
	if misplaced {
		d.faults[len(d.faults)-1].elsewhere = name
	}
}

func (d *decoder) faultAt(at position, path, message string) {
	at = at.inside(d.lines)
	d.faults = append(d.faults, Fault{Fault: input.Fault{Path: path, Message: message}, File: d.written.file, Line: at.line, Col: at.col})
}

// fieldsOf is fieldsOf of the package, computed once for each type.
func (d *decoder) fieldsOf(t reflect.Type) fields {
	known, ok := d.fields[t]
	if !ok {
		known = fieldsOf(t)
		d.fields[t] = known
	}
	return known
}

// newValue is a settable T at its defaults.
func newValue(t reflect.Type) reflect.Value {
	made := reflect.New(t)
	setDefaults(made)
	return made.Elem()
}

func setDefaults(pointer reflect.Value) {
	if defaults, ok := pointer.Interface().(interface{ SetDefaults() }); ok {
		defaults.SetDefaults()
	}
}

// pointee follows a pointer to the value behind it, which it makes when there is none.
func pointee(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		v.Set(newValue(v.Type().Elem()).Addr())
	}
	return pointee(v.Elem())
}
