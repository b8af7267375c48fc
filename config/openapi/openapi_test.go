package openapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/route"
)

// plan is the YAML for a document, and its notes.
func planned(t *testing.T, document string) (Plan, string) {
	t.Helper()
	doc, err := Read("api", []byte(document), "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(doc, Target{Upstream: "recipes"})
	if err != nil {
		t.Fatal(err)
	}
	return p, p.YAML()
}

// document is one with these operations: "GET /a required".
func document(operations ...string) string {
	var paths strings.Builder
	seen := map[string][]string{}
	var order []string
	for _, op := range operations {
		var method, path, auth string
		if n, _ := fmt.Sscan(op, &method, &path, &auth); n != 3 {
			panic(op)
		}
		security := map[string]string{"required": `[{"b":[]}]`, "optional": `[{"b":[]},{}]`, "none": `[]`}[auth]
		if !slices.Contains(order, path) {
			order = append(order, path)
		}
		seen[path] = append(seen[path], fmt.Sprintf(`%q:{"security":%s}`, strings.ToLower(method), security))
	}
	for i, path := range order {
		if i > 0 {
			paths.WriteByte(',')
		}
		fmt.Fprintf(&paths, "%q:{%s}", path, strings.Join(seen[path], ","))
	}
	return `{"openapi":"3.0.0","paths":{` + paths.String() + `}}`
}

func TestProtectedOperationsShareARouteAndOpenOnesDoNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		operations []string
		want       string
	}{
		"a resource": {
			[]string{"GET /api/v1/recipes required", "POST /api/v1/recipes required", "GET /api/v1/recipes/{id} required", "GET /api/v1/users/{id} required", "PUT /api/v1/users/{id}/name required"},
			"/api/v1/recipes/** required\n/api/v1/users/** required",
		},
		"methods differ": {
			[]string{"GET /recipes none", "POST /recipes required", "GET /recipes/{id} none", "PUT /recipes/{id} required"},
			"/recipes/** required\nGET /recipes none\nGET /recipes/:id none",
		},
		"procedures": {
			[]string{"GET /wx/cart/index required", "POST /wx/cart/add required", "GET /wx/cart/count required", "GET /wx/home/index none"},
			"/wx/cart/** required\nGET /wx/home/index none",
		},
		"the root is no resource": {
			[]string{"GET /a required", "GET /b required", "GET /c required", "GET /d required"},
			"GET /a required\nGET /b required\nGET /c required\nGET /d required",
		},
		"a literal beside an open parameter": {
			[]string{"GET /recipes/{id} none", "GET /recipes/mine required", "GET /recipes/mine/drafts required"},
			"GET /recipes/:id none\n/recipes/mine/** required\nGET /recipes/mine required",
		},
		"an open literal beside a protected parameter": {
			[]string{"POST /users/login none", "POST /users/{id} required", "POST /users required"},
			"/users/** required\nPOST /users/login none",
		},
		"neither template is the more concrete one": {
			[]string{"GET /{shop}/news none", "GET /admin/{page} required"},
			"GET /:shop/news none\nGET /admin/:page required\nGET /admin/news required",
		},
		"parameters of other names": {
			[]string{"GET /a/{id} none", "DELETE /a/{key} required", "GET /A/{x}/ optional"},
			"GET /a/:id optional\nDELETE /a/:key required",
		},
		"what no pattern can express is not opened": {
			[]string{"GET /files/{name}.json none", "GET /v1/users:batch none", "GET /static/** none", "GET /caf%C3%A9 none"},
			"GET /café none\nGET /files/:name__json required\nGET /static/** required\nGET /v1/:users_batch required",
		},
		"what no pattern can express closes what it overlaps": {
			[]string{"GET /files/{id} none", "GET /files/{name}.json required", "GET /x/{a} none", "GET /x/** required", "GET /x/y none"},
			"GET /files/:id required\nGET /x/** required\nGET /x/:a none\nGET /x/y none",
		},
		"what no pattern can express closes all that it may be, below it too": {
			[]string{"POST /{x} none", "POST /b:c/** optional"},
			"/:x/** required",
		},
		"HEAD is as strict as GET": {
			[]string{"GET /a required", "HEAD /a none", "HEAD /b/{id} none", "GET /b/mine required"},
			"GET,HEAD /a required\nHEAD /b/:id none\nGET /b/mine required\nHEAD /b/mine required",
		},
	} {
		p, _ := planned(t, document(c.operations...))
		var got []string
		for _, r := range p.Routes {
			got = append(got, strings.TrimSpace(strings.Join(r.Methods, ",")+" "+r.Path+" "+string(r.Auth)))
		}
		if text := strings.Join(got, "\n"); text != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, text, c.want)
		}
	}
}

// TestNoRouteOpensWhatTheDocumentProtects asks the routes of random documents for random paths. Where a request gets
// through with less than a protected operation wants, there must be an operation of the document for it that is open
// and says the path in more words than any protected one.
func TestNoRouteOpensWhatTheDocumentProtects(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		segment := rapid.SampledFrom([]string{"a", "b", "A", "{x}", "{y}", "{z}.json", "b:c"})
		path := rapid.Custom(func(t *rapid.T) string {
			text := "/" + strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
			return text + rapid.SampledFrom([]string{"", "", "", "/", "/**"}).Draw(t, "end")
		})
		operation := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"GET", "POST", "HEAD"}).Draw(t, "method") + " " + path.Draw(t, "path") + " " +
				rapid.SampledFrom([]string{"none", "optional", "required"}).Draw(t, "auth")
		})
		byPath := rapid.SliceOfNDistinct(operation, 1, 12, func(op string) string { return strings.Join(strings.Fields(op)[:2], " ") }).Draw(t, "operations")
		doc, err := Read("api", []byte(document(byPath...)), "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPlan(doc, Target{Upstream: "recipes"})
		if err != nil {
			t.Fatal(err)
		}
		found := p.table()
		literal := rapid.SampledFrom([]string{"a", "b", "c", "d.json", "b:c"})
		for range 30 {
			asked := "/" + strings.Join(rapid.SliceOfN(literal, 1, 4).Draw(t, "path"), "/") + rapid.SampledFrom([]string{"", "/"}).Draw(t, "end")
			method := rapid.SampledFrom([]string{"GET", "POST", "HEAD"}).Draw(t, "method")
			got := gateway.AuthRequired // 404
			if i, ok := found.Find(nil, method, []byte(asked)); ok {
				got = p.Routes[i].Auth
			}
			checkAnswer(t, doc, method, asked, got)
		}
	})
}

// checkAnswer fails if a request gets through with got though an operation protects it.
func checkAnswer(t *rapid.T, doc Document, method, asked string, got gateway.AuthMode) {
	for _, strict := range doc.Operations {
		if !strict.Auth.StricterThan(got) || !protects(strict.Method, method) || !takes(strict.Template, asked) {
			continue
		}
		if !slices.ContainsFunc(doc.Operations, func(open Operation) bool {
			return open.Method == method && !open.Auth.StricterThan(got) && takes(open.Template, asked) && moreConcrete(open.Template, strict.Template)
		}) {
			t.Fatalf("%s %s: got %s, but %s %s is %s", method, asked, got, strict.Method, strict.Template, strict.Auth)
		}
	}
}

// takes reports whether a template could mean a path, by the letter of OpenAPI and the habits of frameworks.
func takes(template, path string) bool {
	want, got := strings.Split(strings.Trim(strings.ToLower(template), "/"), "/"), strings.Split(strings.Trim(path, "/"), "/")
	for i, segment := range want {
		if segment == "**" {
			return true
		}
		if i >= len(got) {
			return false
		}
		suffix, mixed := strings.CutPrefix(segment, "{z}")
		switch {
		case mixed && !strings.HasSuffix(got[i], suffix), !strings.HasPrefix(segment, "{") && segment != got[i]:
			return false
		}
	}
	return len(want) == len(got)
}

// moreConcrete reports whether a template has a literal wherever another one has, and one more.
func moreConcrete(template, than string) bool {
	a, b := strings.Split(strings.Trim(template, "/"), "/"), strings.Split(strings.Trim(than, "/"), "/")
	more := false
	for i, segment := range a {
		if i >= len(b) || b[i] == "**" {
			return true
		}
		mine, other := !strings.Contains(segment, "{"), !strings.Contains(b[i], "{")
		if other && !mine {
			return false
		}
		more = more || mine && !other
	}
	return more || len(b) > len(a)
}

func TestADocumentThatIsReadInAnotherWayIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[],"security":[{"b":[]}]}}}}`: `api:1:56: "security" is written twice`,
		"openapi: 3.0.0\npaths:\n  /a:\n    get: {}\n  /a:\n    post: {}\n":                `api:5:3: paths./a: written twice, first on line 3`,
		`{"openapi":"3.0.0","Paths":{}}`:                                                   `api:1:1: paths: the document has no paths`,
		`{"openapi":"4.0.0","paths":{}}`:                                                   `api:1:2: openapi: "4.0.0" is not a version that is read: 3.0.x, 3.1.x, or ` + "`swagger: \"2.0\"`",
		`{"paths":{}}`:                                                                     "api:1:1: not an OpenAPI document: it has neither `openapi` nor `swagger`",
		`{"openapi":"3.0.0","paths":{"/a":{"get":{"security":null}}}}`:                     `api:1:42: paths./a.get.security: wants a list; [] is public`,
		`{"openapi":"3.0.0","paths":{"/a":{"get":{"security":["b"]}}}}`:                    `api:1:54: paths./a.get.security: wants the names of security schemes, such as { bearer: [] }`,
		`{"openapi":"3.0.0","paths":{"/a":{"get":[]}}}`:                                    `api:1:35: paths./a.get: wants the keys of an operation`,
		`{"openapi":"3.0.0","paths":{"/a":[]}}`:                                            `api:1:29: paths./a: wants methods, such as get`,
		`{"openapi":"3.0.0","paths":{"a":{"get":{}}}}`:                                     `api:1:29: paths.a: a path begins with /`,
		`{"openapi":"3.0.0","paths":{"/a//b":{"get":{}}}}`:                                 `api:1:38: paths./a//b.get: "/a//b" has an empty segment`,
		`{"openapi":"3.0.0","paths":{"/a?x":{"get":{}}}}`:                                  `api:1:37: paths./a?x.get: "/a?x": a path has no query and no fragment`,
		`{"openapi":"3.0.0","paths":{"/a/..":{"get":{}}}}`:                                 `api:1:38: paths./a/...get: "/a/.." is not a path pattern such as /api/:name/**: segment 2 is ".."`,
		`{"openapi":"3.0.0","paths":{"/a":{"$ref":"https://x.example/a.json"}}}`:           `api:1:35: paths./a: $ref "https://x.example/a.json" leads to no path`,
		`{"openapi":"3.0.0","paths":{"/a":{"$ref":"#/paths/~1a"}}}`:                        `paths./a: $ref follows $ref without end`,
		`{"openapi":"3.0.0","servers":[{"url":"v1"}],"paths":{"/a":{"get":{}}}}`:           `api:1:32: servers: "v1" does not say where the paths begin; say it by --base`,
		`{"openapi":"3.0.0","servers":[{"url":"http://a/{v}"}],"paths":{"/a":{}}}`:         `say it by --base`,
		`{"swagger":"2.0","basePath":"v1","paths":{"/a":{"get":{}}}}`:                      `api:1:18: basePath: "v1" is not a path pattern`,
		`{"openapi":"3.0.0","paths":`:                                                      `api:1:28: not JSON: it ends before it is complete`,
		`{"openapi":"3.0.0"} x`:                                                            `api:1:21: not JSON: something follows the document`,
		"{\"openapi\":\"3.0.0\",\n  \"paths\": }":                                          `api:2:12: not JSON: invalid character '}'`,
		"{\"openapi\":\"\xff\"}":                                                           `api:1:13: not UTF-8 text`,
		`{"openapi":"3.0.0","security":` + strings.Repeat("[", 100) + "1":                  `nested too deep`,
		"openapi: 3.0.0\nsecurity: &s [ *s ]\npaths: {}\n":                                 `nested too deep`,
		"openapi: 3.0.0\npaths:\n  /a:\n    get:\n      security: !!python/object []\n":    `the tag`,
	} {
		_, err := Read("api", []byte(document), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q: got %v, want %s", document, err, want)
		}
	}
}

func TestWhatIsHostileIsBounded(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":[`, 200_000)
	skipped := `{"openapi":"3.0.0","components":{"schemas":` + deep + `1` + strings.Repeat(`]}`, 200_000) + `},"paths":{"/a":{"get":{"security":[]}}}}`
	if doc, err := Read("api", []byte(skipped), ""); err != nil || len(doc.Operations) != 1 {
		t.Errorf("schemas that are nested deep are passed over: %d operations, %v", len(doc.Operations), err)
	}
	if _, err := Read("api", []byte("openapi: 3.0.0\n"+strings.Repeat("#\n", largestYAML/2)), ""); err == nil || !strings.Contains(err.Error(), "too much YAML") {
		t.Errorf("got %v for a large YAML document", err)
	}
	var many strings.Builder
	for i := range mostOperations + 1 {
		fmt.Fprintf(&many, `"/a%d":{"get":{}},`, i)
	}
	if _, err := Read("api", []byte(`{"openapi":"3.0.0","paths":{`+many.String()+`"/b":{}}}`), ""); err == nil || !strings.Contains(err.Error(), "more operations") {
		t.Errorf("got %v for too many operations", err)
	}
	var overlapping []string
	for i := range 150 {
		overlapping = append(overlapping, fmt.Sprintf("GET /{x}/open%d none", i), fmt.Sprintf("GET /shut%d/{x} required", i))
	}
	doc, err := Read("api", []byte(document(overlapping...)), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = NewPlan(doc, Target{Upstream: "recipes"}); err == nil || !strings.Contains(err.Error(), "more than 10,000 routes") {
		t.Errorf("got %v for 150 × 150 paths that overlap", err)
	}
	var wrong strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&wrong, `"a%d":{},`, i)
	}
	_, err = Read("api", []byte(`{"openapi":"3.0.0","paths":{`+wrong.String()+`"/b":{}}}`), "")
	var faults strictyaml.Faults
	if !errors.As(err, &faults) || len(faults) != mostFaults+1 || !strings.Contains(err.Error(), "and 980 more faults") {
		t.Errorf("got %d faults", len(faults))
	}
}

func TestSecurityComesFromTheOperationElseFromTheDocument(t *testing.T) {
	t.Parallel()
	doc, err := Read("api", []byte(`openapi: 3.1.0
security: [ { b: [] } ]
servers: [ { url: "https://{host}/{v}/", variables: { host: { default: a.example }, v: { default: v2 } } } ]
paths:
  x-note: { get: {} }
  /a: { get: {}, post: { security: [] }, put: { security: [ {}, { b: [] } ] }, trace: {}, parameters: [] }
  /b: { $ref: "#/components/pathItems/shared~1b" }
  /c: { servers: [ { url: "/up" } ], get: {}, put: { servers: [ { url: "https://u.example" } ] } }
components:
  pathItems:
    shared/b: { delete: {} }
`), "")
	var got []string
	for _, op := range doc.Operations {
		got = append(got, op.Method+" "+op.Template+" "+string(op.Auth))
	}
	want := []string{"GET /v2/a required", "POST /v2/a none", "PUT /v2/a optional", "DELETE /v2/b required", "GET /up/c required", "PUT /c required"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

func TestWhatIsWrittenReadsBackAsItWasMeant(t *testing.T) {
	t.Parallel()
	_, text := planned(t, document("GET /$metadata/${x} required", `GET /say"hi"/{id} none`, "GET /null none", "GET /中文/{id} none"))
	tree, err := strictyaml.Tree("routes", []byte(text), func([]string) bool { return true })
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var got []string
	for _, r := range tree.Member("routes").Items {
		got = append(got, r.Member("path").Text)
	}
	if want := []string{"/$$metadata/:$$_x_"}; len(got) != 4 || !slices.Contains(got, `/say"hi"/:id`) || !slices.Contains(got, "/中文/:id") {
		t.Errorf("got %q, want among them %q", got, want)
	}
}

func TestPatternsThatOverlapMeetInOne(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"/a/:x", "/:y/b", "/a/b"},
		{"/a/**", "/:x/b/c", "/a/b/c"},
		{"/a/**", "/:x/**", "/a/**"},
		{"/a/b", "/a", ""},
		{"/a", "/b", ""},
		{"/A/:x", "/a/:y", "/a/:x"},
		{"/**", "/", "/"},
	} {
		a, _ := route.ParsePattern(c[0])
		b, _ := route.ParsePattern(c[1])
		both, ok := a.WithoutLastSlash().Intersect(b.WithoutLastSlash())
		want, _ := route.ParsePattern(c[2])
		if ok != (c[2] != "") || ok && !both.SameShape(want.WithoutLastSlash()) {
			t.Errorf("%s and %s: got %s, %v, want %s", c[0], c[1], both, ok, c[2])
		}
	}
}
