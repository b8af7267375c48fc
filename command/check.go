package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/config/schema"
	"wxgate/config/strictyaml"
	"wxgate/storage"
	"wxgate/storage/mysql"
)

type checkCommand struct {
	output

	FailOn string   `name:"fail-on" enum:"info,warning,critical,none" default:"none" placeholder:"SEVERITY" help:"Exit with 1 if anything is found of this severity or worse: info, warning or critical (none: only errors do that)."`
	Ignore []string `placeholder:"ID" complete:"finding" help:"Do not report this kind of finding, such as literal-secret; may be repeated."`
}

// Validate refuses to ignore what does not exist: a misspelled id would be reported all the same.
func (c checkCommand) Validate() error {
	for _, id := range c.Ignore {
		if _, known := audit.Kinds()[id]; !known {
			return fmt.Errorf("--ignore: there is no kind of finding %q; docs/check.md lists them", id)
		}
	}
	return nil
}

// checked is what a check prints with --json.
type checked struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Errors   []placed  `json:"errors"`   // none: it is valid
	Findings []finding `json:"findings"` // none: there is nothing to say
	Notes    []string  `json:"notes"`
}

// placed is something about a key, and where in the file it is written.
type placed struct {
	Path    string `json:"path"` // empty: it is about the whole file
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // 0: it is not written in the file
	Column  int    `json:"column,omitempty"`
}

type finding struct {
	ID       string         `json:"id"`
	Severity audit.Severity `json:"severity"`
	placed
}

// Run reads the configuration and the files that it names as serve would, and reports errors and likely mistakes. It
// opens neither the store nor a socket; whether folders can be written to, it tries.
func (c checkCommand) Run(w *env) error {
	cfg, origin, err := config.LoadWithFiles(w.config, w.lookup)
	if err != nil {
		return c.refuse(w, err)
	}
	found := slices.DeleteFunc(audit.Examine(cfg, origin, time.Now()), func(f audit.Finding) bool { return slices.Contains(c.Ignore, f.ID) })
	notes := notesOf(cfg)
	if c.JSON {
		result := checked{File: w.config, Valid: true, Errors: []placed{}, Findings: []finding{}, Notes: append([]string{}, notes...)}
		for _, f := range found {
			result.Findings = append(result.Findings, finding{f.ID, f.Severity, placedOf(f.Fault)})
		}
		err = c.printJSON(w.stdout, result)
	} else {
		err = c.write(w, cfg, found, notes)
	}
	if err == nil {
		err = c.judge(found)
	}
	return err
}

// refuse reports a configuration that is not valid.
func (c checkCommand) refuse(w *env, err error) error {
	var faults strictyaml.Faults
	if !c.JSON || !errors.As(err, &faults) {
		return err
	}
	result := checked{File: w.config, Errors: []placed{}, Findings: []finding{}, Notes: []string{}}
	for _, f := range faults {
		result.Errors = append(result.Errors, placedOf(f))
	}
	return errors.Join(c.printJSON(w.stdout, result), fmt.Errorf("the configuration is invalid: %s", counted(len(faults), "error", "errors")))
}

func placedOf(f strictyaml.Fault) placed { return placed{f.Path, f.Message, f.File, f.Line, f.Col} }

func (checkCommand) write(w *env, cfg config.Config, found []audit.Finding, notes []string) error {
	text := fmt.Sprintf("%s is valid: %s, %s, listening on %s\n", w.config,
		counted(len(cfg.Routes), "route", "routes"), counted(len(cfg.Upstreams), "upstream", "upstreams"), cfg.Server.Listen)
	for _, f := range found {
		text += fmt.Sprintf("%s: %v [%s]\n", label(f.Severity), f.Fault, f.ID)
	}
	for _, note := range notes {
		text += "note: " + note + "\n"
	}
	_, err := io.WriteString(w.stdout, w.paint(w.stdout, text))
	return err
}

// label is how a severity is called in front of a finding.
func label(s audit.Severity) string {
	if s == audit.Info {
		return "note"
	}
	return string(s)
}

// judge returns an error if anything was found that is bad enough.
func (c checkCommand) judge(found []audit.Finding) error {
	bad := 0
	for _, f := range found {
		if c.FailOn != "none" && f.Severity.AtLeast(audit.Severity(c.FailOn)) {
			bad++
		}
	}
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%s of severity %s or worse", counted(bad, "finding", "findings"), c.FailOn)
}

// notesOf say what a configuration means that is not a mistake.
func notesOf(cfg config.Config) (notes []string) {
	for _, each := range cfg.Authn.Issuers {
		routes := 0
		for _, r := range cfg.Routes {
			if r.Issuer == each.Name {
				routes++
			}
		}
		notes = append(notes, fmt.Sprintf("issuer %s, for %s: %v", each.Name, counted(routes, "route", "routes"), each))
	}
	if on := cfg.Authn.OnUser; on.Upstream != "" {
		notes = append(notes, toldOfUsers(cfg.Authn))
	}
	if cfg.Storage.Driver == storage.DriverMySQL {
		notes = append(notes, "users and sessions are in the database "+mysql.Place(cfg.Storage.MySQL)+"; limits are counted on each gateway by itself")
	}
	return notes
}

type schemaCommand struct{}

// Run prints the JSON Schema of gateway.yaml.
func (schemaCommand) Run(w *env) error {
	_, err := w.stdout.Write(schema.JSON())
	return err
}
