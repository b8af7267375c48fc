package cli

import (
	"fmt"
	"go/doc/comment"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// short is how the value is named in a message: --flag, <argument> or [<argument>].
func (v *Value) short() string {
	switch {
	case v.isFlag:
		return "--" + v.Name
	case v.Required:
		return "<" + v.Name + ">"
	}
	return "[<" + v.Name + ">]"
}

// summary is how the value is typed.
func (v *Value) summary() string {
	if v.isFlag && !v.IsBool() {
		return v.short() + "=" + v.typed()
	}
	return v.short()
}

// typed stands for the value of a flag: the placeholder, the default, or the type.
func (v *Value) typed() string {
	more := ""
	if v.isList() {
		more = v.separator() + "..."
	}
	switch {
	case v.PlaceHolder != "":
		return v.PlaceHolder + more
	case v.hasPreset && v.target.Kind() == reflect.String:
		return strconv.Quote(v.preset) + more
	case v.hasPreset:
		return v.preset + more
	case v.target.Type().Name() != "":
		return strings.ToUpper(v.target.Type().Name()) + more
	}
	return strings.ToUpper(v.Name) + more
}

// summary is how the command is typed, without the program.
func (n *Node) summary() string {
	words := []string{}
	if path := n.Path(); path != "" {
		words = append(words, path)
	}
	flags := n.Flags
	for _, node := range n.line() {
		for _, flag := range node.Flags {
			if flag.Required {
				words = append(words, flag.summary())
			}
		}
	}
	for _, arg := range n.Args {
		words = append(words, arg.summary())
	}
	if len(n.Children) > 0 {
		words = append(words, "<command>")
	}
	if n.Parent != nil {
		flags = slices.Concat(flags, n.Parent.Flags)
	}
	if slices.ContainsFunc(flags, func(v *Value) bool { return !v.Required && !v.isInstead }) {
		words = append(words, "[flags]")
	}
	return strings.Join(words, " ")
}

// WriteHelp writes what --help says, in lines of that many columns.
func (n *Node) WriteHelp(out io.Writer, columns int) error {
	program := n.line()[0]
	p := &page{columns: columns}
	p.line(0, "Usage: "+program.Name+" "+n.summary())
	for _, text := range []string{n.Help, n.Detail} {
		if text != "" {
			p.line(0, "")
			p.wrap(0, text)
		}
	}
	n.writeValues(p)
	for i, leaf := range n.Leaves() {
		if p.line(0, ""); i == 0 {
			p.line(0, "Commands:")
		}
		p.line(2, leaf.summary())
		if leaf.Help != "" {
			p.wrap(4, leaf.Help)
		}
	}
	if n == program {
		p.line(0, "")
		p.line(0, fmt.Sprintf("Run \"%s <command> --help\" for more information on a command.", program.Name))
	}
	_, err := io.WriteString(out, p.text.String())
	return err
}

// writeValues writes the arguments, and the flags of the program and each command down to this one.
func (n *Node) writeValues(p *page) {
	var args, flags [][2]string
	for _, arg := range n.Args {
		args = append(args, [2]string{arg.summary(), arg.Help})
	}
	indent := "" // of flags without a letter
	for _, node := range n.line() {
		if slices.ContainsFunc(node.Flags, func(v *Value) bool { return v.Short != "" }) {
			indent = "    "
		}
	}
	for _, node := range n.line() {
		if len(flags) > 0 && len(node.Flags) > 0 {
			flags = append(flags, [2]string{})
		}
		for _, flag := range node.Flags {
			before := indent
			if flag.Short != "" {
				before = "-" + flag.Short + ", "
			}
			flags = append(flags, [2]string{before + flag.summary(), flag.Help})
		}
	}
	p.rows("Arguments:", args)
	p.rows("Flags:", flags)
}

// page is a text for a terminal.
type page struct {
	columns int
	text    strings.Builder
}

func (p *page) line(indent int, text string) {
	p.text.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+text, " ") + "\n")
}

// wrap writes paragraphs, and what is indented in them as it is.
func (p *page) wrap(indent int, text string) {
	for _, line := range wrapped(text, p.columns-indent) {
		p.line(indent, line)
	}
}

func wrapped(text string, columns int) []string {
	printer := comment.Printer{TextCodePrefix: "    ", TextWidth: columns}
	text = string(printer.Text(new(comment.Parser).Parse(text)))
	return strings.Split(strings.TrimSpace(text), "\n")
}

// rows writes two columns. What is too long for the first one has a line of its own.
func (p *page) rows(title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	p.line(0, "")
	p.line(0, title)
	const indent, gap = 2, 4
	columns, left := p.columns-indent, 0
	most := max(30, columns*375/1000)
	for _, row := range rows {
		if n := len(row[0]); n > left && n < most {
			left = n
		}
	}
	for _, row := range rows {
		lines, first := wrapped(row[1], columns-left-gap), row[0]
		if len(first) < most {
			first = fmt.Sprintf("%-*s%*s%s", left, first, gap, "", lines[0])
			lines = lines[1:]
		}
		p.line(indent, first)
		for _, line := range lines {
			p.line(indent+left+gap, line)
		}
	}
}
