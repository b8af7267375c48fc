package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"wxgate/config"
	"wxgate/config/openapi"
	"wxgate/gateway"
	"wxgate/input"
)

type routesCommand struct {
	List   routesListCommand   `cmd:"" default:"withflags" help:"List every route and endpoint (the default)."`
	Import routesImportCommand `cmd:"" help:"Write routes for the operations of an OpenAPI document, and what differs in the configuration."`
}

type routesListCommand struct {
	output
}

// Run lists every route and endpoint that the configuration results in; the gateway need not be running.
func (c routesListCommand) Run(w *env) error {
	cfg, err := config.LoadRouting(w.config, w.lookup)
	if err != nil {
		return err
	}
	all, err := gateway.Routes(cfg.Gateway())
	if err != nil {
		return err
	}
	return c.print(w.stdout, all, func(t *table) {
		t.row("HOST", "METHOD", "PATH", "AUTH", "TO", "RATE LIMIT", "BODY", "TIMEOUT", "ANSWERS")
		for _, r := range all {
			t.row(cmp.Or(r.Host, "*"), methodsOf(r), r.Path, authOf(r), r.To, cmp.Or(r.RateLimit, "-"), r.BodyLimit, r.Timeout, r.Answers)
		}
	})
}

// authOf is what a route wants: its mode, and whose tokens if not ours.
func authOf(r gateway.RouteInfo) string {
	if r.Issuer != "" {
		return string(r.Auth) + " " + r.Issuer
	}
	return string(r.Auth)
}

func methodsOf(r gateway.RouteInfo) string { return cmp.Or(strings.Join(r.Methods, ","), "*") }

type routesImportCommand struct {
	output

	Document string `arg:"" name:"file" complete:"file" help:"The document, JSON or YAML; - reads standard input."`
	Upstream string `required:"" placeholder:"NAME" complete:"upstream" help:"The service that it describes, one of upstreams."`
	Prefix   string `placeholder:"PATH" help:"What clients write before the service's own paths, such as /shop."`
	Base     string `placeholder:"PATH" help:"Where the paths of the document begin, instead of what it says of its servers; / for none."`
	Diff     bool   `help:"Only say what differs in the configuration; the exit code is 1 if anything does."`
}

// Validate says what is wrong with the paths.
func (c *routesImportCommand) Validate() error {
	if c.JSON && !c.Diff {
		return errors.New("--json goes with --diff: routes are written as YAML")
	}
	for flag, path := range map[string]string{"--prefix": c.Prefix, "--base": c.Base} {
		if path == "" || path == "/" && flag == "--base" {
			continue
		}
		if err := openapi.CheckBase(path); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	return nil
}

// Run writes routes for the operations of a document to stdout, and to stderr what an operator should know of them and
// what differs in the configuration, if there is one.
func (c routesImportCommand) Run(w *env) error {
	cfg, configured, err := c.configuration(w)
	if err != nil {
		return err
	}
	doc, err := c.read(w.stdin)
	if err != nil {
		return err
	}
	endpoints, err := endpointsOf(cfg)
	if err != nil {
		return err
	}
	plan, err := openapi.NewPlan(doc, openapi.Target{Upstream: c.Upstream, Prefix: strings.TrimSuffix(c.Prefix, "/"), Endpoints: endpoints})
	if err != nil {
		return fmt.Errorf("%s: %w", c.Document, err)
	}
	if err := c.describe(w.stderr, doc, plan); err != nil {
		return err
	}
	if c.Diff {
		return c.compare(w, w.stdout, plan, cfg)
	}
	if _, err := io.WriteString(w.stdout, plan.YAML()); err != nil || !configured {
		return err
	}
	err = c.compare(w, w.stderr, plan, cfg)
	if errors.Is(err, errDifferent) {
		return nil
	}
	return err
}

// configuration is what the routes are compared with. Without a file it is the default one, unless there must be one.
func (c routesImportCommand) configuration(w *env) (cfg config.Config, found bool, err error) {
	cfg, err = config.LoadRoutingToFill(w.config, w.lookup)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !w.named && !c.Diff:
		return config.DefaultConfig(), false, nil
	case err != nil:
		return cfg, false, err
	}
	if _, known := cfg.Upstreams[c.Upstream]; !known {
		return cfg, false, fmt.Errorf("--upstream: %s has no %q, but %s", w.config, c.Upstream, strings.Join(slices.Sorted(maps.Keys(cfg.Upstreams)), ", "))
	}
	return cfg, true, nil
}

func (c routesImportCommand) read(stdin io.Reader) (openapi.Document, error) {
	switch {
	case c.Document == "-":
		data, err := input.All(stdin, "standard input")
		if err != nil {
			return openapi.Document{}, err
		}
		return openapi.Read("standard input", data, c.Base)
	case strings.Contains(c.Document, "://"):
		return openapi.Document{}, fmt.Errorf("%s is not a file: `curl -s %s | wxgate routes import - …`", c.Document, c.Document)
	}
	data, err := input.File(c.Document)
	if err != nil {
		return openapi.Document{}, err
	}
	return openapi.Read(c.Document, data, c.Base)
}

// endpointsOf are the gateway's own endpoints, without those that the configuration has given to a service.
func endpointsOf(cfg config.Config) ([]gateway.RouteInfo, error) {
	all, err := gateway.Routes(cfg.Gateway())
	return slices.DeleteFunc(all, func(r gateway.RouteInfo) bool { return r.To != "wxgate" }), err
}

// describe tells how many operations there are of each kind, and what is not as the document has it.
func (c routesImportCommand) describe(to io.Writer, doc openapi.Document, plan openapi.Plan) error {
	required, optional, public := plan.Counts()
	text := fmt.Sprintf("%s: %s, %s: %d required, %d optional, %d public\n", c.Document, doc.Version,
		counted(required+optional+public, "operation", "operations"), required, optional, public)
	if doc.Silent {
		text += "note: nothing in it says who may call an operation (`security`), so all are written as required; open what is public by hand\n"
	}
	for _, note := range plan.Notes {
		text += "note: " + note.Error() + "\n"
	}
	_, err := io.WriteString(to, text)
	return err
}

// difference is one between a document and a configuration, for a program.
type difference struct {
	Kind    openapi.DifferenceKind `json:"kind"`
	Methods []string               `json:"methods"` // none: all
	Path    string                 `json:"path"`
	Auth    gateway.AuthMode       `json:"auth,omitempty"` // as the document has it
	Detail  string                 `json:"detail"`
}

func differencesOf(found []openapi.Difference) []difference {
	all := []difference{}
	for _, d := range found {
		all = append(all, difference{d.Kind, append([]string{}, d.Methods...), d.Path, d.Auth, d.Detail})
	}
	return all
}

var errDifferent = errors.New("the configuration does not do what the document says")

// compare prints what differs in the configuration, and returns errDifferent if anything does.
func (c routesImportCommand) compare(w *env, to io.Writer, plan openapi.Plan, cfg config.Config) error {
	differences := plan.Diff(cfg.Routes, c.Upstream)
	if c.JSON {
		err := c.printJSON(to, differencesOf(differences))
		if err == nil && len(differences) > 0 {
			err = errDifferent
		}
		return err
	}
	if len(differences) == 0 {
		_, err := fmt.Fprintf(to, "%s does what the document says\n", w.config)
		return err
	}
	var t table
	t.row("IN "+w.config, "METHOD", "PATH", "DOCUMENT", "")
	for _, d := range differences {
		t.row(d.Kind, cmp.Or(strings.Join(d.Methods, ","), "*"), d.Path, cmp.Or(string(d.Auth), "-"), d.Detail)
	}
	if err := t.write(to); err != nil {
		return err
	}
	return errDifferent
}
