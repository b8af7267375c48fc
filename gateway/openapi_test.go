package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/gateway/apidoc/apidoctest"
)

// everyEndpoint is a configuration with all endpoints.
func everyEndpoint() Config {
	cfg := DefaultConfig()
	cfg.CloudRun, cfg.PublicKeys = true, true
	cfg.VirtualPayments = map[string]wechat.VirtualPaymentConfig{"wx1": {}}
	cfg.WebLogin.Accounts = map[wechat.WebKind]wechat.WebAccount{wechat.WebOfficialAccount: {}}
	return cfg
}

// publicAPI is the document of the public API under a configuration.
func publicAPI(t *testing.T, cfg Config) (*apidoctest.API, string) {
	t.Helper()
	doc, err := cfg.PublicAPI("v1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return apidoctest.New(t, text), string(text)
}

// pathParameter is a parameter in a pattern of ours.
var pathParameter = regexp.MustCompile(`:(\w+)`)

func TestTheDescriptionOfThePublicAPIHasEveryEndpoint(t *testing.T) {
	t.Parallel()
	cfg := everyEndpoint()
	api, _ := publicAPI(t, cfg)
	var want []string
	for _, e := range endpoints(&snapshot{cfg: cfg}) {
		want = append(want, e.method+" "+pathParameter.ReplaceAllString(e.path, "{$1}"))
	}
	slices.Sort(want)
	if got := api.Places(); !slices.Equal(got, want) {
		t.Errorf("the public API is described with\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	source, err := os.ReadFile("apidoc/public.yaml")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]bool{}
	for _, e := range endpoints(&snapshot{cfg: cfg}) {
		labels[e.label] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^  ((?:GET|HEAD|POST|PUT|DELETE|OPTIONS) .+):$`).FindAllStringSubmatch(string(source), -1) {
		if !labels[m[1]] {
			t.Errorf("apidoc/public.yaml describes %s, which is no endpoint", m[1])
		}
		delete(labels, m[1])
	}
	if len(labels) > 0 {
		t.Errorf("apidoc/public.yaml lacks %v", slices.Sorted(maps.Keys(labels)))
	}
}

func TestTheDescriptionOfTheAdminAPIHasEveryEndpoint(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, oneForEachScope()...)
	api := apidoctest.New(t, []byte(o.ask(t, "GET /api/openapi.json", "").body))
	var want []string
	for _, file := range []string{"admin/api.go", "admin/server.go", "admin/dashboard.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\t+(?:\{|mux\.Handle(?:Func)?\()"((?:GET|POST|PUT|DELETE) (/[^"]+))", (?:.*\[\]string\{([^}]*)\})?`).FindAllStringSubmatch(string(source), -1) {
			place := strings.ReplaceAll(m[1], "...}", "}")
			if m[1] == "GET /{$}" || m[1] == "GET /dashboard/{file...}" { // pages
				continue
			}
			want = append(want, place)
			method, path, _ := strings.Cut(place, " ")
			var known []string
			for _, quoted := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(m[3], -1) {
				known = append(known, quoted[1])
			}
			slices.Sort(known)
			if got := api.Parameters(method, path, "query"); !slices.Equal(got, known) {
				t.Errorf("%s is described with the query parameters %v, want %v", place, got, known)
			}
		}
	}
	slices.Sort(want)
	if got := api.Places(); len(want) < 30 || !slices.Equal(got, want) {
		t.Errorf("the admin API is described with\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBothDescriptionsHaveTheReasonsOfTheErrorTable(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, oneForEachScope()...)
	want := map[string]bool{}
	for _, f := range answer.NewTable() {
		want[f.Reason] = true
	}
	for _, api := range []string{"admin", "public"} {
		var doc struct {
			Components struct {
				Schemas struct{ Reason struct{ Enum []string } }
			}
		}
		if err := json.Unmarshal([]byte(o.as("notify").ask(t, "GET /api/openapi.json?api="+api, "").body), &doc); err != nil {
			t.Fatal(err)
		}
		if got := doc.Components.Schemas.Reason.Enum; !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("the reasons of the %s API are %v", api, got)
		}
	}
	o.want(t, "GET /api/openapi.json?api=other", "", http.StatusBadRequest, "invalid_request")
}

// TestThePublicAPIIsDescribedWhereItIs has endpoints elsewhere, off, by other methods, with a token in the query and in another shape.
func TestThePublicAPIIsDescribedWhereItIs(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Server.Listen, cfg.TokenFrom = "0.0.0.0:8443", []string{"Authorization", "X-Token", "subprotocol:bearer", "cookie:session"}
	cfg.Endpoints.Login = Paths{"/wx/login", "GET /weapp/login"}
	cfg.Endpoints.Logout = Paths{"GET /user/logout?t"}
	cfg.Endpoints.LoginSkey, cfg.Endpoints.User, cfg.Endpoints.Phone = Paths{}, Paths{}, Paths{}
	cfg.Endpoints.Answers = map[string]answer.Config{"/user/logout": {Preset: "errno"}}
	api, text := publicAPI(t, cfg)
	want := []string{
		"DELETE /api/v1/auth/sessions/{id}", "GET /", "GET /api/v1/auth/sessions", "GET /api/v1/user/profile", "GET /healthz", "GET /user/logout",
		"GET /weapp/login", "HEAD /", "HEAD /healthz", "OPTIONS /", "POST /api/v1/auth/decrypt", "POST /api/v1/auth/refresh", "POST /wx/login",
		"PUT /api/v1/user/profile",
	}
	if got := api.Places(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := api.Parameters("GET", "/weapp/login", "query"); !slices.Equal(got, []string{"fields"}) {
		t.Errorf("a login by GET has the parameters %v", got)
	}
	for _, part := range []string{`"url":"http://localhost:8443"`, `"security":[{"bearer":[]},{"header_X-Token":[]},{"cookie_session":[]}],`, `{"query_t":[]}]`, `"operationId":"login2"`, "In the shape of the section answers"} {
		if !strings.Contains(text, part) {
			t.Errorf("the document lacks %s:\n%s", part, text)
		}
	}
}
