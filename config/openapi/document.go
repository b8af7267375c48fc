package openapi

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/route"
	"wxgate/input"
)

// reader takes a document apart and collects its faults.
type reader struct {
	file    string
	root    *strictyaml.Node
	faults  strictyaml.Faults
	secured bool // something says who may call
}

func (r *reader) fault(n *strictyaml.Node, path, message string) {
	r.faults = append(r.faults, strictyaml.Fault{Fault: input.Fault{Path: path, Message: message}, File: r.file, Line: n.Line, Col: n.Col})
}

func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return r.faults
}

func (r *reader) document(base string) Document {
	doc := Document{Version: r.version()}
	if doc.Version == "" {
		return doc
	}
	if base == "" {
		base = r.base(r.root, "")
	}
	everywhere := gateway.AuthNone
	if security := r.root.Member("security"); security != nil {
		everywhere = r.auth(security, "security")
	}
	paths := r.root.Member("paths")
	if paths == nil || paths.Kind != strictyaml.Mapping {
		r.fault(r.root, "paths", "the document has no paths")
		return doc
	}
	for _, p := range paths.Pairs {
		r.pathItem(&doc, p, scope{base: strings.TrimSuffix(base, "/"), auth: everywhere})
		if len(doc.Operations) > mostOperations {
			r.fault(p.Value, "paths", "the document has more operations than the 10,000 that are read")
			return doc
		}
	}
	if doc.Silent = !r.secured; doc.Silent {
		for i := range doc.Operations {
			doc.Operations[i].Auth = gateway.AuthRequired
		}
	}
	return doc
}

// version says what the document is, "" if that cannot be read.
func (r *reader) version() string {
	three, two := r.root.Member("openapi"), r.root.Member("swagger")
	switch {
	case three != nil && regexp.MustCompile(`^3\.[01]\.\d{1,3}$`).MatchString(three.Text):
		return "OpenAPI " + three.Text
	case two != nil && two.Text == "2.0" && three == nil:
		return "Swagger 2.0"
	case three != nil:
		r.fault(three, "openapi", input.Quote(three.Text)+" is not a version that is read: 3.0.x, 3.1.x, or `swagger: \"2.0\"`")
	case two != nil:
		r.fault(two, "swagger", input.Quote(two.Text)+" is not a version that is read: 2.0, or `openapi: 3.0.x` or 3.1.x")
	default:
		r.fault(r.root, "", "not an OpenAPI document: it has neither `openapi` nor `swagger`")
	}
	return ""
}

// scope is what holds for the operations within it.
type scope struct {
	base string // the path before their paths, without a last slash
	auth gateway.AuthMode
}

func (r *reader) pathItem(doc *Document, p strictyaml.Pair, within scope) {
	path := "paths." + printed(p.Name)
	if !strings.HasPrefix(p.Name, "/") {
		r.fault(p.Value, path, "a path begins with /")
		return
	}
	item, ok := r.resolve(p.Value, path)
	if !ok {
		return
	}
	if item.Kind != strictyaml.Mapping {
		r.fault(p.Value, path, "wants methods, such as get")
		return
	}
	if item.Member("servers") != nil {
		within.base = r.base(item, path+".")
	}
	for _, m := range item.Pairs {
		if method := methodOf(m.Name); method != "" {
			r.operation(doc, m, Operation{Method: method, Template: p.Name, Auth: within.auth}, path+"."+m.Name, within)
		}
	}
}

func (r *reader) operation(doc *Document, m strictyaml.Pair, op Operation, path string, within scope) {
	if m.Value.Kind != strictyaml.Mapping || m.Value.Member("$ref") != nil {
		r.fault(m.Value, path, "wants the keys of an operation")
		return
	}
	if security := m.Value.Member("security"); security != nil {
		op.Auth = r.auth(security, path+".security")
	}
	if m.Value.Member("servers") != nil {
		within.base = r.base(m.Value, path+".")
	}
	op.Template = within.base + op.Template
	op.place = strictyaml.Fault{Fault: input.Fault{Path: path}, File: r.file, Line: m.Value.Line, Col: m.Value.Col}
	if _, err := templatePattern(op.Template); err != nil {
		r.fault(m.Value, path, err.Error())
		return
	}
	doc.Operations = append(doc.Operations, op)
}

// auth is the mode that a list of security requirements stands for: alternatives, of which an empty one lets in anybody.
func (r *reader) auth(n *strictyaml.Node, path string) gateway.AuthMode {
	r.secured = true
	if n.Kind != strictyaml.List {
		r.fault(n, path, "wants a list; [] is public")
		return gateway.AuthRequired
	}
	mode := gateway.AuthRequired
	for _, alternative := range n.Items {
		switch {
		case alternative.Kind != strictyaml.Mapping:
			r.fault(alternative, path, "wants the names of security schemes, such as { bearer: [] }")
		case len(alternative.Pairs) == 0:
			mode = gateway.AuthOptional
		}
	}
	if len(n.Items) == 0 {
		return gateway.AuthNone
	}
	return mode
}

// resolve follows the $ref of a path.
func (r *reader) resolve(n *strictyaml.Node, path string) (*strictyaml.Node, bool) {
	for range longestRefChain {
		ref := n.Member("$ref")
		if ref == nil {
			return n, true
		}
		if len(n.Pairs) > 1 {
			r.fault(ref, path, "has a $ref and other keys beside it; keep one of the two")
			return nil, false
		}
		target := r.referenced(ref.Text)
		if target == nil {
			r.fault(ref, path, "$ref "+input.Quote(ref.Text)+" leads to no path of this document; "+
				"a document of several files is made one by `npx @redocly/cli bundle`")
			return nil, false
		}
		n = target
	}
	r.fault(n, path, "$ref follows $ref without end")
	return nil, false
}

// referenced is what a JSON pointer within the document leads to, nil if that is no path item.
func (r *reader) referenced(ref string) *strictyaml.Node {
	pointer, ok := strings.CutPrefix(ref, "#/")
	keys := strings.Split(pointer, "/")
	if decoded, err := url.PathUnescape(keys[len(keys)-1]); err == nil {
		keys[len(keys)-1] = strings.NewReplacer("~1", "/", "~0", "~").Replace(decoded)
	}
	switch {
	case ok && len(keys) == 2 && keys[0] == "paths":
		return r.root.Member("paths").Member(keys[1])
	case ok && len(keys) == 3 && keys[0] == "components" && keys[1] == "pathItems":
		return r.root.Member("components").Member("pathItems").Member(keys[2])
	}
	return nil
}

// base is the path of the servers, or the basePath, of a part of the document, without a last slash.
func (r *reader) base(n *strictyaml.Node, path string) string {
	if two := n.Member("basePath"); two != nil {
		return r.checkedBase(two, path+"basePath", two.Text)
	}
	servers := n.Member("servers")
	if servers == nil {
		return ""
	}
	var bases []string
	for _, server := range servers.Items {
		base := r.serverBase(server, path+"servers")
		if !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
	}
	switch len(bases) {
	case 0:
		return ""
	case 1:
		return bases[0]
	}
	r.fault(servers, path+"servers", "the servers have different paths: "+printed(strings.Join(bases, ", "))+"; say which one by --base (/ for none)")
	return ""
}

func (r *reader) serverBase(server *strictyaml.Node, path string) string {
	address := server.Member("url")
	if address == nil || address.Kind != strictyaml.Scalar {
		r.fault(server, path, "a server has no url")
		return ""
	}
	text := regexp.MustCompile(`\{[^{}]*\}`).ReplaceAllStringFunc(address.Text, func(variable string) string {
		if value := server.Member("variables").Member(strings.Trim(variable, "{}")).Member("default"); value != nil {
			return value.Text
		}
		return variable
	})
	parsed, err := url.Parse(text)
	if err != nil || strings.Contains(text, "{") || parsed.Host == "" && text != "" && !strings.HasPrefix(text, "/") {
		r.fault(address, path, input.Quote(address.Text)+" does not say where the paths begin; say it by --base (/ for none)")
		return ""
	}
	return r.checkedBase(address, path, parsed.Path)
}

func (r *reader) checkedBase(n *strictyaml.Node, path, base string) string {
	base = strings.TrimSuffix(base, "/")
	if err := CheckBase(base); base != "" && err != nil {
		r.fault(n, path, err.Error())
		return ""
	}
	return base
}

// CheckBase reports why a text cannot stand before paths.
func CheckBase(base string) error {
	p, err := route.ParsePattern(base)
	if err == nil && (p.TakesRest() || strings.Contains(base, "/:")) {
		err = errNotLiteral
	}
	return err
}

// printed is a key of a document as it stands in an error.
func printed(key string) string {
	if quoted := input.Quote(key); quoted != `"`+key+`"` {
		return quoted
	}
	return key
}
