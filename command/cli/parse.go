package cli

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error is what is wrong with a command line.
type Error struct {
	At *Node // the last command that was named
	error
}

// Unwrap implements the interface of package errors.
func (e *Error) Unwrap() error { return e.error }

// Parse reads a command line, without the name of the program, into the struct, and returns the command to run, which was asked by
// its method Validate() error, if it has one, what else is wrong. If a flag is asked for instead, it returns the command that was
// named, and looks at nothing more. An error is an *Error.
func (n *Node) Parse(words []string) (*Node, error) {
	n.reset()
	r := &reader{at: n, rest: words}
	if err := r.read(); err != nil {
		return nil, &Error{r.at, err}
	}
	if r.instead {
		return r.at, nil
	}
	selected := r.at
	if selected.Default != nil {
		selected = selected.Default
	}
	if err := selected.check(); err != nil {
		return nil, &Error{r.at, err}
	}
	return selected, nil
}

// reset gives every field its default.
func (n *Node) reset() {
	for _, v := range slices.Concat(n.Flags, n.Args) {
		v.isSet = false
		v.target.Set(reflect.Zero(v.target.Type()))
		if v.hasPreset {
			_ = v.add(v.preset) // New has read it once
		}
	}
	for _, child := range n.Children {
		child.reset()
	}
}

// reader goes over the words of a command line.
type reader struct {
	at      *Node
	args    int // arguments of it that were there
	rest    []string
	literal bool // behind --
	instead bool // a flag was there that is asked for instead of a command
}

func (r *reader) read() error {
	for len(r.rest) > 0 {
		word := r.rest[0]
		r.rest = r.rest[1:]
		var err error
		switch {
		case r.literal || word == "-" || !strings.HasPrefix(word, "-"):
			err = r.word(word)
		case word == "--":
			r.literal = true
		case strings.HasPrefix(word, "--"):
			name, value, assigned := strings.Cut(word, "=")
			err = r.flag(name, value, assigned)
		default:
			err = r.letters(word[1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// word reads an argument or the name of a command.
func (r *reader) word(word string) error {
	if r.args < len(r.at.Args) {
		arg := r.at.Args[r.args]
		r.args++
		arg.isSet = true
		return arg.set(word)
	}
	child := r.at.child(word)
	if child == nil {
		var names []string
		for _, c := range r.at.Children {
			names = append(names, c.Name)
		}
		return suggest("unexpected argument "+word, word, names)
	}
	if r.at.bare && child != r.at.Default {
		for _, flag := range r.at.Default.Flags {
			if flag.isSet {
				return fmt.Errorf("flag --%s applies to the default command %q, not %q", flag.Name, r.at.Default.Name, child.Name)
			}
		}
	}
	r.at, r.args = child, 0
	return nil
}

// letters reads -q, -qv, -c FILE and -cFILE.
func (r *reader) letters(letters string) error {
	_, size := utf8.DecodeRuneInString(letters)
	flag, err := r.find("-" + letters[:size])
	switch tail := letters[size:]; {
	case err != nil:
		return err
	case tail == "":
		return r.take(flag, "", false)
	case !flag.IsBool():
		return r.take(flag, tail, true)
	default:
		if err := r.take(flag, "", false); err != nil {
			return err
		}
		return r.letters(tail)
	}
}

func (r *reader) flag(name, value string, assigned bool) error {
	flag, err := r.find(name)
	if err != nil {
		return err
	}
	return r.take(flag, value, assigned)
}

// find returns the flag of a name, with its dashes.
func (r *reader) find(name string) (*Value, error) {
	var names []string
	for _, flag := range r.at.flagsHere() {
		names = append(names, "--"+flag.Name)
		if flag.Short != "" {
			names = append(names, "-"+flag.Short)
		}
		if name == "--"+flag.Name || flag.Short != "" && name == "-"+flag.Short {
			return flag, nil
		}
	}
	return nil, suggest("unknown flag "+name, name, names)
}

// take reads the value of a flag, which is in the next word unless it was assigned.
func (r *reader) take(flag *Value, value string, assigned bool) error {
	flag.isSet = true
	r.instead = r.instead || flag.isInstead
	switch {
	case assigned:
	case flag.IsBool():
		value = "true"
	case len(r.rest) == 0:
		return fmt.Errorf("%s: needs a value behind it", flag.short())
	case len(r.rest[0]) > 1 && strings.HasPrefix(r.rest[0], "-"):
		return fmt.Errorf("%[1]s: needs a value behind it; perhaps try %[1]s=%[2]q?", flag.short(), r.rest[0])
	default:
		value, r.rest = r.rest[0], r.rest[1:]
	}
	return flag.set(value)
}

// check returns an error if what was typed does not make a command line.
func (n *Node) check() error {
	for _, node := range n.line() {
		for _, v := range slices.Concat(node.Flags, node.Args) {
			if err := v.checkEnum(); err != nil {
				return err
			}
		}
	}
	if command, is := n.Command().(interface{ Validate() error }); is {
		if err := command.Validate(); err != nil {
			return fmt.Errorf("%s: %w", n.Path(), err)
		}
	}
	return n.checkMissing()
}

func (n *Node) checkMissing() error {
	var flags, args, children []string
	for _, node := range n.line() {
		for _, flag := range node.Flags {
			if flag.Required && !flag.isSet {
				flags = append(flags, flag.summary())
			}
		}
	}
	for _, arg := range n.Args {
		if arg.Required && !arg.isSet {
			args = append(args, arg.summary())
		}
	}
	for _, child := range n.Children {
		children = append(children, child.Name)
	}
	switch {
	case flags != nil:
		slices.Sort(flags)
		return errors.New("missing flags: " + strings.Join(flags, ", "))
	case args != nil:
		return errors.New("expected " + strconv.Quote(strings.Join(args, " ")))
	case children != nil:
		return errors.New("say which one: " + strings.Join(children, ", "))
	}
	return nil
}
