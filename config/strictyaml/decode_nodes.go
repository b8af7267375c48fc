package strictyaml

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// pair is one key of a mapping, its value, and where the key is written.
type pair struct {
	name  string
	value ast.Node
	position
}

// pairs lists the keys of a mapping. What `<<: *anchor` brings in comes last and only where the mapping has no such key
// of its own.
func (d *decoder) pairs(at cursor, mapping ast.MapNode) []pair {
	var own, merged []pair
	first := map[string]position{}
	for entry := mapping.MapRange(); entry.Next(); {
		p := pair{keyName(entry.Key()), entry.Value(), nodePosition(entry.Key())}
		before, repeated := first[p.name]
		switch {
		case entry.Key().IsMergeKey():
			merged = append(merged, d.merged(at, p)...)
		case repeated:
			d.faultAt(p.position, at.key(p.name, nil).path, fmt.Sprintf("written twice, first on line %d", before.line))
		default:
			first[p.name] = p.position
			own = append(own, p)
		}
	}
	for _, p := range merged {
		if _, overridden := first[p.name]; !overridden {
			first[p.name] = p.position
			own = append(own, p)
		}
	}
	return own
}

func (d *decoder) merged(at cursor, merge pair) []pair {
	node := d.resolve(cursor{node: merge.value, path: at.path, depth: at.depth + 1})
	mapping, ok := node.(ast.MapNode)
	if !ok && node != nil {
		d.faultAt(merge.position, at.path, "<< takes one alias of a section, such as <<: *common")
	}
	if !ok {
		return nil
	}
	return d.pairs(cursor{path: at.path, depth: at.depth + 1}, mapping)
}

// resolve gives the plain node behind anchors and aliases, or nil when there is none to decode. It is here that a file
// which unfolds without end is stopped, once.
func (d *decoder) resolve(at cursor) ast.Node {
	d.values++
	switch {
	case d.values > mostValues+1:
		return nil
	case d.values > mostValues:
		d.fault(at, fmt.Sprintf("the aliases of this file unfold to more than %d values", mostValues))
		return nil
	case at.depth > deepest:
		d.fault(at, "nested too deep")
		return nil
	}
	switch node := at.node.(type) {
	case *ast.AnchorNode:
		return d.resolve(cursor{node.Value, at.path, at.depth + 1})
	case *ast.AliasNode:
		return d.target(at, node)
	case *ast.TagNode:
		d.fault(at, notATag(node.Start.Value))
		return nil
	default:
		return node
	}
}

func (d *decoder) target(at cursor, alias *ast.AliasNode) ast.Node {
	target, known := d.aliases[alias]
	if !known {
		d.fault(at, "no anchor of this name before the alias; a text that begins with * goes in quotes")
		return nil
	}
	return d.resolve(cursor{target, at.path, at.depth + 1})
}

// notATag shows a tag of YAML itself. Another one may be a secret that begins with !.
func notATag(written string) string {
	if strings.HasPrefix(written, "!!") {
		return fmt.Sprintf("the tag %s is not understood; leave it out", written)
	}
	return "a text that begins with ! goes in quotes"
}

// aliasResolver pairs each alias with the latest anchor of its name above it.
type aliasResolver struct {
	anchors map[string]ast.Node
	targets map[*ast.AliasNode]ast.Node
}

func resolveAliases(root ast.Node) map[*ast.AliasNode]ast.Node {
	r := &aliasResolver{map[string]ast.Node{}, map[*ast.AliasNode]ast.Node{}}
	ast.Walk(r, root)
	return r.targets
}

// Visit is called by ast.Walk in the order of the file.
func (r *aliasResolver) Visit(node ast.Node) ast.Visitor {
	switch node := node.(type) {
	case *ast.AnchorNode:
		r.anchors[scalarText(node.Name)] = node.Value
	case *ast.AliasNode:
		if target, known := r.anchors[scalarText(node.Value)]; known {
			r.targets[node] = target
		}
	}
	return r
}

// keyName is a key as text: 8080 and true are keys like any other.
func keyName(key ast.MapKeyNode) string {
	if explicit, ok := key.(*ast.MappingKeyNode); ok && explicit.Value != nil { // the long form `? key`
		return scalarText(explicit.Value)
	}
	return scalarText(key)
}

// scalarText is a scalar as it is written, without quotes, indentation and escapes.
func scalarText(node ast.Node) string {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value
	case *ast.LiteralNode:
		return node.Value.Value
	}
	return node.GetToken().Value
}

func nodePosition(node ast.Node) position {
	if mapping, ok := node.(ast.MapNode); ok { // whose own token is the colon
		if entry := mapping.MapRange(); entry.Next() {
			return nodePosition(entry.Key())
		}
	}
	return tokenPosition(node.GetToken())
}
