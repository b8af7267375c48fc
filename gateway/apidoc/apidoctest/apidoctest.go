// Package apidoctest checks OpenAPI documents, and answers against them.
package apidoctest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// specification is the JSON Schema of OpenAPI 3.1, as the OpenAPI Initiative publishes it (Apache License 2.0).
//
//go:embed openapi-3.1.json
var specification []byte

// at is where the document is for the compiler of schemas.
const at = "http://document.test/openapi.json"

type object = map[string]any

// API is an OpenAPI document. Its schemas are closed: an answer with a member that they do not have is none of theirs.
type API struct {
	t        *testing.T
	document object
	compiler *jsonschema.Compiler

	operations map[string]operation
}

type operation struct {
	method, path string
	object
}

// New fails the test unless text is an OpenAPI 3.1 document whose schemas, and whose examples, are valid.
func New(t *testing.T, text []byte) *API {
	t.Helper()
	document := parse(t, text).(object)
	a := &API{t: t, document: document, compiler: jsonschema.NewCompiler(), operations: map[string]operation{}}
	a.compiler.DefaultDraft(jsonschema.Draft2020)
	a.compiler.AssertFormat()
	if err := a.compiler.AddResource("openapi-3.1.json", parse(t, specification)); err != nil {
		t.Fatal(err)
	}
	whole, err := a.compiler.Compile("openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Validate(document); err != nil {
		t.Fatalf("not an OpenAPI 3.1 document: %v", err)
	}
	open := map[string]bool{}
	findOpen(document, open)
	for name, schema := range members(members(document, "components"), "schemas") {
		closeSchemas(schema, open["#/components/schemas/"+name])
	}
	closeAll(document)
	if err := a.compiler.AddResource(at, document); err != nil {
		t.Fatal(err)
	}
	a.findOperations()
	a.checkSchemas("", document)
	return a
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
	return v
}

// members are those of an object in an object, nil if there is none.
func members(o object, name string) object {
	inner, _ := o[name].(object)
	return inner
}

// findOpen finds the schemas of which others consist, which may have more members.
func findOpen(v any, open map[string]bool) {
	switch v := v.(type) {
	case object:
		all, _ := v["allOf"].([]any)
		for _, part := range all {
			if to, ok := part.(object); ok && to["$ref"] != nil {
				open[fmt.Sprint(to["$ref"])] = true
			}
		}
		for _, inner := range v {
			findOpen(inner, open)
		}
	case []any:
		for _, inner := range v {
			findOpen(inner, open)
		}
	}
}

// closeAll closes the schemas outside of components.schemas.
func closeAll(v any) {
	switch v := v.(type) {
	case object:
		for name, inner := range v {
			switch name {
			case "schema":
				closeSchemas(inner, false)
			case "schemas", "example", "examples":
			default:
				closeAll(inner)
			}
		}
	case []any:
		for _, inner := range v {
			closeAll(inner)
		}
	}
}

// closeSchemas closes a schema, unless it is part of another one, and those in it.
func closeSchemas(v any, part bool) {
	schema, ok := v.(object)
	if !ok {
		return
	}
	if _, says := schema["additionalProperties"]; !says && !part && (schema["properties"] != nil || schema["allOf"] != nil) {
		schema["unevaluatedProperties"] = false
	}
	for _, inner := range members(schema, "properties") {
		closeSchemas(inner, false)
	}
	closeSchemas(schema["items"], false)
	for _, several := range []string{"allOf", "oneOf"} {
		all, _ := schema[several].([]any)
		for _, inner := range all {
			closeSchemas(inner, several == "allOf")
		}
	}
}

func (a *API) findOperations() {
	for path, item := range members(a.document, "paths") {
		for method, o := range item.(object) {
			op := operation{strings.ToUpper(method), path, o.(object)}
			id := fmt.Sprint(op.object["operationId"])
			if _, twice := a.operations[id]; twice {
				a.t.Errorf("two operations are called %s", id)
			}
			a.operations[id] = op
		}
	}
}

// checkSchemas compiles every schema of the document, and wants its examples to be valid.
func (a *API) checkSchemas(pointer string, v any) {
	a.t.Helper()
	switch v := v.(type) {
	case object:
		for name, inner := range v {
			below := pointer + "/" + escape(name)
			if name == "schema" || strings.HasSuffix(pointer, "/schemas") || strings.HasSuffix(pointer, "/properties") {
				a.checkExamples(below, v, inner)
			}
			a.checkSchemas(below, inner)
		}
	case []any:
		for i, inner := range v {
			a.checkSchemas(fmt.Sprintf("%s/%d", pointer, i), inner)
		}
	}
}

// checkExamples wants a schema to be valid, and its examples, and the one beside it.
func (a *API) checkExamples(pointer string, beside object, schema any) {
	a.t.Helper()
	examples, _ := members(object{"schema": schema}, "schema")["examples"].([]any)
	if example, has := beside["example"]; has && strings.HasSuffix(pointer, "/schema") {
		examples = append(examples, example)
	}
	for _, example := range append(examples, nil) {
		err := a.validate(pointer, example)
		if example != nil && err != nil {
			a.t.Errorf("the example %v of %s: %v", example, pointer, err)
		}
	}
}

// validate returns why a value is none of the schema at a pointer.
func (a *API) validate(pointer string, v any) error {
	a.t.Helper()
	schema, err := a.compiler.Compile(at + "#" + pointer)
	if err != nil {
		a.t.Fatalf("%s: %v", pointer, err)
	}
	return schema.Validate(v)
}

// escape is a token of a JSON pointer in a URL.
func escape(token string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
}

// follow is the object at a pointer, or where that refers to.
func (a *API) follow(pointer string) (string, object) {
	var v any = a.document
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		plain, _ := url.PathUnescape(token)
		plain = strings.NewReplacer("~1", "/", "~0", "~").Replace(plain)
		if several, ok := v.([]any); ok {
			i, _ := strconv.Atoi(plain)
			v = several[i]
			continue
		}
		o, _ := v.(object)
		v = o[plain]
	}
	found, _ := v.(object)
	if to, refers := found["$ref"].(string); refers {
		return a.follow(strings.TrimPrefix(to, "#"))
	}
	return pointer, found
}

// Operations are the ids of all operations, sorted.
func (a *API) Operations() []string { return slices.Sorted(maps.Keys(a.operations)) }

// Places are all operations by method and path: "GET /livez".
func (a *API) Places() (all []string) {
	for _, op := range a.operations {
		all = append(all, op.method+" "+op.path)
	}
	slices.Sort(all)
	return all
}

// Parameters are the names of the parameters of an operation that are in one place, sorted.
func (a *API) Parameters(method, path, in string) (names []string) {
	for _, p := range a.parameters(operation{method, path, members(members(members(a.document, "paths"), path), strings.ToLower(method))}) {
		if p["in"] == in {
			names = append(names, fmt.Sprint(p["name"]))
		}
	}
	slices.Sort(names)
	return names
}

func (a *API) parameters(op operation) (all []object) {
	list, _ := op.object["parameters"].([]any)
	for i := range list {
		_, p := a.follow(fmt.Sprintf("/paths/%s/%s/parameters/%d", escape(op.path), strings.ToLower(op.method), i))
		all = append(all, p)
	}
	return all
}

// Example is the request of the examples of an operation.
type Example struct {
	Method, Path string // with the query
	ContentType  string // "": there is no body
	Body         string
}

// Values take the place of examples that are of the moment: parameters by name, and members of a JSON body.
type Values = map[string]any

// Examples are the requests of an operation, one for each example of a body.
func (a *API) Examples(id string, values Values) (all []Example) {
	a.t.Helper()
	op := a.operations[id]
	path, query := op.path, url.Values{}
	for _, p := range a.parameters(op) {
		name := fmt.Sprint(p["name"])
		value, given := values[name]
		if !given {
			value, given = p["example"]
		}
		switch {
		case p["in"] == "path":
			path = strings.ReplaceAll(path, "{"+name+"}", fmt.Sprint(value))
		case p["in"] == "query" && given:
			query.Set(name, fmt.Sprint(value))
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	for mediaType, media := range members(members(op.object, "requestBody"), "content") {
		if example, has := media.(object)["example"]; has {
			all = append(all, Example{op.method, path, mediaType, bodyOf(mediaType, example, values)})
		}
	}
	if len(all) == 0 {
		all = append(all, Example{Method: op.method, Path: path})
	}
	return all
}

// bodyOf is an example as it is sent.
func bodyOf(mediaType string, example any, values Values) string {
	fields, isObject := example.(object)
	if !isObject {
		return fmt.Sprint(example)
	}
	form := url.Values{}
	fields = maps.Clone(fields)
	for name := range fields {
		if value, given := values[name]; given {
			fields[name] = value
		}
		form.Set(name, fmt.Sprint(fields[name]))
	}
	if mediaType == "application/x-www-form-urlencoded" {
		return form.Encode()
	}
	text, _ := json.Marshal(fields) // it came from JSON
	return string(text)
}

// Check fails the test unless an answer to an operation is described, with its headers and its body.
func (a *API) Check(id string, status int, header http.Header, body string) {
	a.t.Helper()
	op := a.operations[id]
	pointer, response := a.follow(fmt.Sprintf("/paths/%s/%s/responses/%d", escape(op.path), strings.ToLower(op.method), status))
	if response == nil {
		a.t.Errorf("%s answers %d %s, which is not described", id, status, body)
		return
	}
	described := members(response, "headers")
	for _, name := range []string{"Retry-After", "X-Wxgate-Reason", "X-Request-Id", "WWW-Authenticate", "Location", "Link", "RateLimit"} {
		if _, known := described[name]; !known && header.Get(name) != "" {
			a.t.Errorf("%s answers %d with %s: %s, which is not described", id, status, name, header.Get(name))
		}
	}
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	content := members(response, "content")
	if content == nil && body == "" {
		return
	}
	if content[mediaType] == nil {
		a.t.Errorf("%s answers %d with %q, which is not described: %.200s", id, status, mediaType, body)
		return
	}
	var v any = body
	if mediaType == "application/json" {
		v = parse(a.t, []byte(body))
	}
	if err := a.validate(pointer+"/content/"+escape(mediaType)+"/schema", v); err != nil {
		a.t.Errorf("%s answers %d %.400s: %v", id, status, body, err)
	}
}
