package strictyaml

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const deepest = 64 // sections within sections; the parser needs quadratic time for what is deeper

// misread is a fault of the YAML text itself, before anything is known about keys.
type misread struct {
	position
	message string
}

// parseDocument reads the one mapping that a configuration file is.
func parseDocument(text string) (ast.Node, *misread) {
	if fault := notUTF8(text); fault != nil {
		return nil, fault
	}
	if fault := control(text); fault != nil {
		return nil, fault
	}
	tokens := joinPlain(lexer.Tokenize(text))
	if tk := tooDeep(tokens); tk != nil {
		return nil, &misread{tokenPosition(tk), "nested too deep"}
	}
	// Two equal keys are found by the decoder: it can name both lines and goes on to the next fault.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxFault(err, text)
	}
	return rootMapping(file)
}

// plainText drops the byte order mark that Windows editors write and makes every line end in \n, so that the parser and
// an editor count the same lines.
func plainText(data []byte) string {
	text := strings.TrimPrefix(string(data), "\uFEFF")
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
}

func notUTF8(text string) *misread {
	if utf8.ValidString(text) {
		return nil
	}
	good := strings.ToValidUTF8(text, "\xff") // the first bad byte stays where it was
	good = good[:strings.IndexByte(good, 0xff)]
	return &misread{placeOf(good), "not UTF-8 text; save the file with the encoding UTF-8 (not GBK or UTF-16)"}
}

// tooDeep finds where one line opens too many sections. Sections that are deep through indentation need so many spaces
// that the size limit stops them.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, compact, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			compact, line = 0, tk.Position.Line
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			compact++
		}
		if brackets > deepest || compact > deepest {
			return tk
		}
	}
	return nil
}

// syntaxFault keeps the parser's message and position but not its picture of the source, which may show a secret.
func syntaxFault(err error, text string) *misread {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return &misread{position{1, 1}, "not YAML"}
	}
	at := tokenPosition(syntax.GetToken())
	lines := withoutBlocks(strings.Split(text, "\n"))
	if conflict := unresolved(lines); conflict != nil {
		return conflict
	}
	if advice := strangeAround(lines, at); advice != nil {
		return advice
	}
	if open := leftOpen(lines); open != nil {
		return open
	}
	if layout := misplaced(lines, at); layout != nil {
		return layout
	}
	if at.line <= len(lines) && strings.Contains(withoutQuoted(lines[at.line-1]), "${") {
		return &misread{at, `between [ ] or { } a reference needs quotes: "${VAR}"`}
	}
	return &misread{at, plainly(syntax.GetMessage())}
}

// plainly says in the words of who writes a file what the parser says in its own. None of it shows a value.
func plainly(message string) string {
	for _, known := range []struct{ theirs, ours string }{
		{"could not find flow mapping end token '}'", "a section that begins with { does not end: write }"},
		{"could not find flow map content", "a section that begins with { does not end: write }"},
		{"sequence end token ']' not found", "a list that begins with [ does not end: write ]"},
		{"could not find '[' character", "a ] without a [ before it: remove it, or put the text in quotes"},
		{"could not find '{' character", "a } without a { before it: remove it, or put the text in quotes"},
		{"',' or '}' must be specified", "between two keys in { } stands a comma"},
		{"',' or ']' must be specified", "between two entries in [ ] stands a comma"},
		{"expected sequence element, but found ','", "two commas, and no entry between them"},
		{"'@' is a reserved character", "a text that begins with @ goes in quotes"},
		{"'`' is a reserved character", "a text that begins with ` goes in quotes"},
		{"block sequence entries are not allowed", `an entry of a list, "- ", begins on a line of its own below its key`},
		{"mapping value is not allowed", "a text with a ? before it, or a colon in it that a blank or nothing follows, goes in quotes"},
		{"anchor", "a text that begins with & goes in quotes"},
		{"alias", "a text that begins with * goes in quotes"},
		{"tag", "a text that begins with ! goes in quotes"},
		{"invalid header option", "a text that begins with | or > goes in quotes"},
		{"", "not YAML: this is neither a key with a colon and a blank behind it, nor a value"},
	} {
		if strings.Contains(message, known.theirs) {
			return known.ours
		}
	}
	return ""
}

// strangeAround looks for a strange character on the line of a syntax fault, and on the one before and behind it, outside
// of quotes and comments.
func strangeAround(lines []string, at position) *misread {
	for _, number := range []int{at.line, at.line - 1, at.line + 1} {
		if number < 1 || number > len(lines) {
			continue
		}
		if advice, col := strange(withoutQuoted(lines[number-1])); advice != "" {
			return &misread{position{number, col + 1}, advice}
		}
	}
	return nil
}

func rootMapping(file *ast.File) (ast.Node, *misread) {
	var root ast.Node
	for _, document := range file.Docs {
		_, directive := document.Body.(*ast.DirectiveNode)
		switch {
		case document.Body == nil || directive:
		case root != nil:
			return nil, &misread{nodePosition(document.Body), "a second document begins here; one file is one configuration"}
		default:
			root = document.Body
		}
	}
	return asMapping(root)
}

func asMapping(root ast.Node) (ast.Node, *misread) {
	switch root.(type) {
	case nil, *ast.NullNode:
		return nil, &misread{position{1, 1}, "the file holds no keys"}
	case *ast.MappingNode, *ast.MappingValueNode:
		return root, nil
	}
	return nil, &misread{tokenPosition(root.GetToken()), "the file must be keys and values such as `upstreams:`"}
}

func tokenPosition(tk *token.Token) position {
	return position{line: tk.Position.Line, col: tk.Position.Column}
}
