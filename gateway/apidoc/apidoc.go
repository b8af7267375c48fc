// Package apidoc describes the gateway's own endpoints in OpenAPI 3.1. The files beside it have what only people know, in the
// words of OpenAPI and three keys of their own: x-data is the schema of data in the envelope, x-headers are those of such a
// success, and x-reasons are the reasons of a refusal, or groups of them. Paths, scopes and reasons come from the code.
package apidoc

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"wxgate/gateway/answer"
)

//go:embed common.yaml
var commonSource []byte

//go:embed public.yaml
var publicSource []byte

//go:embed admin.yaml
var adminSource []byte

// Document is an OpenAPI 3.1 document.
type Document struct {
	OpenAPI    string                          `json:"openapi"`
	Info       object                          `json:"info"`
	Servers    []Server                        `json:"servers"`
	Tags       []object                        `json:"tags"`
	Security   []object                        `json:"security,omitempty"`
	Paths      map[string]map[string]Operation `json:"paths"` // by path and method
	Components map[string]object               `json:"components"`
}

// Operation is an operation of OpenAPI.
type Operation = map[string]any

type object = map[string]any

// Server is where the API is.
type Server struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

// Place is where an endpoint of the public API is.
type Place struct {
	Endpoint   string // its method and key: "POST login", "GET h5/start"
	Method     string
	Path       string // with parameters as in "/sessions/:id"
	TokenQuery string // the query parameter that may hold the token; "": none
	OtherShape bool   // the section answers gives its answers another shape
}

// Public is the document of the public API at these places, whose token stands in one of tokenFrom: names of headers, of
// cookies as cookie:NAME, and of subprotocols of WebSockets, which no endpoint is.
func Public(version string, server Server, tokenFrom []string, places []Place) (Document, error) {
	doc, operations, err := read(publicSource, version, server)
	if err != nil {
		return doc, err
	}
	doc.Security = nil
	for _, from := range tokenFrom {
		if strings.HasPrefix(from, "subprotocol:") {
			continue
		}
		doc.Security = append(doc.Security, object{doc.addToken(from): []string{}})
	}
	seen := map[string]int{}
	for _, p := range places {
		operation, described := operations[p.Endpoint]
		if !described {
			return doc, fmt.Errorf("describing the public API: %s is not described", p.Endpoint)
		}
		operation = maps.Clone(operation)
		if seen[p.Endpoint]++; seen[p.Endpoint] > 1 { // ids are unique
			operation["operationId"] = fmt.Sprint(operation["operationId"], seen[p.Endpoint])
		}
		p.adapt(operation, doc)
		doc.add(p.Method, p.Path, operation)
	}
	return doc, nil
}

// addToken adds the security scheme of a token that stands there, and returns its name.
func (d Document) addToken(from string) string {
	if from == "Authorization" {
		return "bearer"
	}
	in, name := "header", from
	if cookie, is := strings.CutPrefix(from, "cookie:"); is {
		in, name = "cookie", cookie
	} else if query, is := strings.CutPrefix(from, "query:"); is {
		in, name = "query", query
	}
	scheme := in + "_" + name
	d.Components["securitySchemes"][scheme] = object{"type": "apiKey", "in": in, "name": name, "description": "The access_token of a login."}
	return scheme
}

// adapt changes an operation of a document to what it is at a place.
func (p Place) adapt(operation Operation, doc Document) {
	if body, has := operation["requestBody"].(object); has && p.Method == http.MethodGet {
		delete(operation, "requestBody")
		operation["parameters"] = append(slices.Clone(list(operation["parameters"])), object{
			"name": "fields", "in": "query", "style": "form", "explode": true, "required": body["required"], "schema": schemaOf(body),
		})
	}
	if p.TokenQuery != "" {
		operation["security"] = append(slices.Clone(doc.Security), object{doc.addToken("query:" + p.TokenQuery): []string{}})
	}
	if p.OtherShape {
		operation["responses"] = object{"default": object{
			"description": "In the shape of the section answers of this gateway's configuration. X-Wxgate-Reason has the reason of a refusal.",
		}}
	}
}

// schemaOf is the schema of a body of JSON.
func schemaOf(body object) any {
	content, _ := body["content"].(object)
	media, _ := content["application/json"].(object)
	return media["schema"]
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// Admin is the document of the API of the admin listener. scopes are, for each pattern of an endpoint that is guarded, those of
// which a service must have one, none for what is the operator's alone.
func Admin(version string, scopes map[string][]string) (Document, error) {
	doc, operations, err := read(adminSource, version, Server{"/", "The admin listener."})
	if err != nil {
		return doc, err
	}
	for pattern := range scopes {
		if operations[pattern] == nil {
			return doc, fmt.Errorf("describing the admin API: %s is not described", pattern)
		}
	}
	for pattern, operation := range operations {
		if needed, guarded := scopes[pattern]; guarded {
			security := []object{{"operator": []string{}}, {"dashboard": []string{}}}
			for _, scope := range needed {
				security = append(security, object{"service": []string{scope}})
			}
			operation["security"] = security
		}
		method, path, _ := strings.Cut(pattern, " ")
		doc.add(method, path, operation)
	}
	return doc, nil
}

// add adds an operation at a path, which may have parameters as our patterns and those of package http have them.
func (d Document) add(method, path string, operation Operation) {
	segments := strings.Split(strings.ReplaceAll(path, "...}", "}"), "/")
	for i, s := range segments {
		if name, found := strings.CutPrefix(s, ":"); found {
			segments[i] = "{" + name + "}"
		}
	}
	path = strings.Join(segments, "/")
	if d.Paths[path] == nil {
		d.Paths[path] = map[string]Operation{}
	}
	d.Paths[path][strings.ToLower(method)] = operation
}

// source is one of the files.
type source struct {
	Info       object
	Tags       []object
	Security   []object
	Reasons    map[string][]string  // groups; every is of each operation
	Headers    map[string]object    // of a success in the envelope, of a refusal, and of refusals with a status
	Operations map[string]Operation // by what they are called
	Components map[string]object
}

// read is a document without paths, and the operations for them.
func read(text []byte, version string, server Server) (doc Document, operations map[string]Operation, err error) {
	var s source
	var common map[string]object
	if err := yaml.Unmarshal(text, &s); err != nil {
		return doc, nil, fmt.Errorf("reading the description of an API: %w", err)
	}
	if err := yaml.Unmarshal(commonSource, &common); err != nil {
		return doc, nil, fmt.Errorf("reading the description of both APIs: %w", err)
	}
	for kind, parts := range common {
		if s.Components[kind] == nil {
			s.Components[kind] = object{}
		}
		maps.Copy(s.Components[kind], parts)
	}
	rows := rowsOf(answer.NewTable())
	reason, _ := s.Components["schemas"]["Reason"].(object)
	reason["enum"] = slices.Sorted(maps.Keys(rows))
	s.Info["version"] = version
	for name, operation := range s.Operations {
		if err := s.complete(operation, rows); err != nil {
			return doc, nil, fmt.Errorf("describing %s: %w", name, err)
		}
	}
	doc = Document{"3.1.0", s.Info, []Server{server}, s.Tags, s.Security, map[string]map[string]Operation{}, s.Components}
	return doc, s.Operations, nil
}

// rowsOf are the rows of the error table by their reasons. Those of one reason have the same status.
func rowsOf(table answer.Table) map[string]answer.Failure {
	rows := map[string]answer.Failure{}
	for _, f := range table {
		if f.RetryAfter >= rows[f.Reason].RetryAfter {
			rows[f.Reason] = f
		}
	}
	return rows
}

// complete replaces the keys of our own by the responses that they stand for.
func (s *source) complete(operation Operation, rows map[string]answer.Failure) error {
	responses, _ := operation["responses"].(object)
	responses = merged(responses) // two operations may share them
	for code, written := range responses {
		if response, _ := written.(object); response["$ref"] == nil {
			headers, _ := response["headers"].(object)
			responses[code] = merged(response, object{"headers": merged(s.Headers["success"], headers)})
		}
	}
	if data, enveloped := operation["x-data"]; enveloped {
		responses["200"] = s.success(data, operation["x-headers"])
	}
	if err := s.addRefusals(responses, append([]any{"every"}, list(operation["x-reasons"])...), rows); err != nil {
		return err
	}
	for _, own := range []string{"x-data", "x-headers", "x-reasons"} {
		delete(operation, own)
	}
	operation["responses"] = responses
	return nil
}

// success is the response with data in the envelope.
func (s *source) success(data, more any) object {
	headers, _ := more.(object)
	headers = merged(s.Headers["success"], headers)
	return object{"description": "Success.", "headers": headers, "content": jsonOf(object{"allOf": []any{
		ref("schemas/Success"), object{"type": "object", "properties": object{"data": data}},
	}})}
}

func merged(all ...object) object {
	m := object{}
	for _, each := range all {
		maps.Copy(m, each)
	}
	return m
}

// addRefusals adds a response for each status of the reasons.
func (s *source) addRefusals(responses object, names []any, rows map[string]answer.Failure) error {
	byStatus := map[int][]string{}
	for _, reason := range s.reasons(names) {
		row, known := rows[reason]
		if !known {
			return fmt.Errorf("no answer of ours has the reason %s", reason)
		}
		if !slices.Contains(byStatus[row.Status], reason) {
			byStatus[row.Status] = append(byStatus[row.Status], reason)
		}
	}
	for status, reasons := range byStatus {
		code := strconv.Itoa(status)
		if responses[code] == nil {
			responses[code] = s.refusal(status, reasons, rows)
		}
	}
	return nil
}

// reasons are those of a list, groups resolved.
func (s *source) reasons(names []any) (all []string) {
	for _, name := range names {
		text := fmt.Sprint(name)
		group, isGroup := s.Reasons[text]
		if !isGroup {
			all = append(all, text)
			continue
		}
		within := make([]any, len(group))
		for i, member := range group {
			within[i] = member
		}
		all = append(all, s.reasons(within)...)
	}
	return all
}

// refusal is the response of a status for some reasons.
func (s *source) refusal(status int, reasons []string, rows map[string]answer.Failure) object {
	headers, lines := merged(s.Headers["refusal"], s.Headers[strconv.Itoa(status)]), make([]string, 0, len(reasons))
	for _, reason := range reasons {
		lines = append(lines, "`"+reason+"`: "+rows[reason].Message)
		if rows[reason].RetryAfter > 0 {
			headers["Retry-After"] = ref("headers/RetryAfter")
		}
	}
	return object{"description": strings.Join(lines, "\n\n"), "headers": headers, "content": jsonOf(object{"allOf": []any{
		ref("schemas/Error"), object{"type": "object", "properties": object{"code": object{"const": status}, "reason": object{"enum": reasons}}},
	}})}
}

func ref(to string) object { return object{"$ref": "#/components/" + to} }

func jsonOf(schema object) object { return object{"application/json": object{"schema": schema}} }
