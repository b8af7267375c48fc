package strictyaml

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Kind is what a Node is.
type Kind int

// The kinds of nodes.
const (
	Null    Kind = iota // a key without a value
	Scalar              // a text, a number, true or false
	List                // Items
	Mapping             // Pairs
)

// Node is a value of a document that is no configuration, with its place: for the value of a key, that of the key.
type Node struct {
	Kind  Kind
	Text  string // of a scalar, without quotes
	Items []*Node
	Pairs []Pair // in the order of the document; no name is there twice

	Line, Col int // from 1, Col in characters
}

// Pair is one key of a mapping and its value.
type Pair struct {
	Name  string
	Value *Node
}

// Member returns the value of a key, nil if the node has no such key.
func (n *Node) Member(name string) *Node {
	if n == nil {
		return nil
	}
	if i := slices.IndexFunc(n.Pairs, func(p Pair) bool { return p.Name == name }); i >= 0 {
		return n.Pairs[i].Value
	}
	return nil
}

// Tree reads a YAML document whose keys are not known beforehand. keep reports whether the key that these keys lead to
// is wanted; what is not is passed over. No reference is expanded. The error is a Faults. Size, depth and what aliases
// unfold to are bounded as those of a configuration are.
func Tree(file string, data []byte, keep func(keys []string) bool) (*Node, error) {
	text := plainText(data)
	d := &decoder{lines: strings.Split(text, "\n"), written: newPositions(file, 0)}
	root, misread := parseDocument(text)
	if misread != nil {
		d.faultAt(misread.position, "", misread.message)
		return nil, d.faults
	}
	d.aliases = resolveAliases(root)
	tree := d.tree(cursor{node: root}, nil, keep)
	return tree, d.faults.asError()
}

func (d *decoder) tree(at cursor, keys []string, keep func([]string) bool) *Node {
	place := nodePosition(at.node).inside(d.lines)
	n := &Node{Line: place.line, Col: place.col}
	switch node := d.resolve(at).(type) {
	case ast.MapNode:
		n.Kind = Mapping
		for _, p := range d.pairs(at, node) {
			below := append(slices.Clip(keys), p.name)
			if !keep(below) {
				continue
			}
			value := d.tree(at.key(p.name, p.value), below, keep)
			value.Line, value.Col = p.line, p.col
			n.Pairs = append(n.Pairs, Pair{p.name, value})
		}
	case *ast.SequenceNode:
		n.Kind = List
		for i, value := range node.Values {
			n.Items = append(n.Items, d.tree(at.element(i, value), keys, keep))
		}
	case *ast.NullNode:
	case ast.ScalarNode:
		n.Kind, n.Text = Scalar, scalarText(node)
	}
	return n
}
