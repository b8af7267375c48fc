// Package cli reads command lines. A struct says what there is: each of its fields is a command, an argument or a flag, and the
// structs of commands have fields of their own; embedded structs count as their fields. What a field is called is its own name with
// dashes and in lower case, and its tags say the rest:
//
//	cmd:""              a command
//	default:"1"         the command that runs if none is named; with default:"withflags" its flags do without its name too
//	arg:""              an argument, which is required unless it has optional:"" or a default
//	name:"max-age"      another name than the field's
//	short:"m"           the flag as one letter
//	default:"7d"        the value of a flag or an argument that is not there
//	enum:"a,b"          the values that it may have
//	required:""         a flag that has to be there
//	instead:""          a flag that is asked for instead of a command, such as --help
//	sep:"none"          a list does not separate its values, but is repeated; otherwise by a comma
//	placeholder:"FILE"  what --help writes for the value
//	help:"…"            what --help says
//
// No method is looked up by its name: the linker keeps every exported method of every type in a program that does.
package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Node is a command, or the program itself.
type Node struct {
	Name     string
	Help     string // a line
	Detail   string // more, in the help of this command alone; indented lines stay as they are
	Parent   *Node  // nil: it is the program
	Children []*Node
	Flags    []*Value
	Args     []*Value
	Default  *Node // of Children: it runs if none is named; nil: one has to be

	bare   bool // flags of Default do without its name
	target reflect.Value
}

// Value is a flag or an argument.
type Value struct {
	Name        string
	Help        string
	Short       string // a letter; "": none
	PlaceHolder string // "": see typed
	Enum        []string
	Required    bool
	Tag         reflect.StructTag

	isFlag    bool
	isInstead bool
	preset    string // the default
	hasPreset bool
	isSet     bool // by the command line
	target    reflect.Value
}

// New reads what there is from a pointer to a struct, which Parse fills. It returns an error for a struct that cannot be one.
func New(name string, grammar any) (*Node, error) {
	n := &Node{Name: name, target: reflect.ValueOf(grammar).Elem()}
	return n, n.read(n.target)
}

// read adds the fields of a struct.
func (n *Node) read(fields reflect.Value) error {
	for i := range fields.NumField() {
		field, target := fields.Type().Field(i), fields.Field(i)
		var err error
		_, isCommand := field.Tag.Lookup("cmd")
		switch {
		case field.Anonymous:
			err = n.read(target)
		case isCommand:
			err = n.addCommand(field, target)
		default:
			err = n.addValue(field, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) addCommand(field reflect.StructField, target reflect.Value) error {
	child := &Node{Name: nameOf(field), Help: field.Tag.Get("help"), Parent: n, target: target}
	n.Children = append(n.Children, child)
	if kind, is := field.Tag.Lookup("default"); is {
		n.Default, n.bare = child, kind == "withflags"
	}
	return child.read(target)
}

func (n *Node) addValue(field reflect.StructField, target reflect.Value) error {
	if !readable(target.Type()) {
		return fmt.Errorf("%s: nothing reads a %s", field.Name, target.Type())
	}
	tag := field.Tag
	v := &Value{Name: nameOf(field), Help: tag.Get("help"), Short: tag.Get("short"), PlaceHolder: tag.Get("placeholder"), Tag: tag, target: target}
	if v.preset, v.hasPreset = tag.Lookup("default"); v.hasPreset {
		if err := v.add(v.preset); err != nil {
			return fmt.Errorf("%s: its default: %w", field.Name, err)
		}
	}
	if enum := tag.Get("enum"); enum != "" {
		v.Enum = strings.Split(enum, ",")
	}
	_, isArg := tag.Lookup("arg")
	_, optional := tag.Lookup("optional")
	_, required := tag.Lookup("required")
	_, v.isInstead = tag.Lookup("instead")
	v.Required = required || isArg && !optional && !v.hasPreset
	if isArg {
		n.Args = append(n.Args, v)
		return nil
	}
	v.isFlag = true
	n.Flags = append(n.Flags, v)
	return nil
}

// nameOf is the name of a field on a command line.
func nameOf(field reflect.StructField) string {
	if name := field.Tag.Get("name"); name != "" {
		return name
	}
	var name strings.Builder
	wasLower := false
	for _, r := range field.Name {
		if wasLower && unicode.IsUpper(r) {
			name.WriteByte('-')
		}
		wasLower = unicode.IsLower(r)
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}

// Path is how a command is typed, without the program: users ban.
func (n *Node) Path() string {
	if n.Parent == nil {
		return ""
	}
	return strings.TrimSpace(n.Parent.Path() + " " + n.Name)
}

// Leaves are the commands below that have none below themselves.
func (n *Node) Leaves() (all []*Node) {
	for _, child := range n.Children {
		if len(child.Children) == 0 {
			all = append(all, child)
		}
		all = append(all, child.Leaves()...)
	}
	return all
}

// Command is the pointer to the struct of a command, which Parse has filled.
func (n *Node) Command() any { return n.target.Addr().Interface() }

// line is the program, and the commands from it to this one.
func (n *Node) line() []*Node {
	if n.Parent == nil {
		return []*Node{n}
	}
	return append(n.Parent.line(), n)
}

// flagsHere are those that may be typed at a command: its own and those above it.
func (n *Node) flagsHere() (all []*Value) {
	at := n
	if n.bare {
		at = n.Default
	}
	for _, node := range at.line() {
		all = append(all, node.Flags...)
	}
	return all
}

// child is the command of that name, nil if there is none.
func (n *Node) child(name string) *Node {
	if i := slices.IndexFunc(n.Children, func(c *Node) bool { return c.Name == name }); i >= 0 {
		return n.Children[i]
	}
	return nil
}
