package command

import (
	"fmt"
	"io"

	"wxgate/config"
	"wxgate/doctor"
	"wxgate/storage"
	"wxgate/storage/mysql"
)

type checkCommand struct{}

// Run reads the configuration and the files that it names as serve would, and reports errors and likely mistakes. It
// opens neither the store nor a socket; whether folders can be written to, it tries.
func (checkCommand) Run(w *env) error {
	cfg, warnings, err := config.LoadWithFiles(w.config, w.lookup)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s is valid: %s, %s, listening on %s\n", w.config,
		counted(len(cfg.Routes), "route", "routes"), counted(len(cfg.Upstreams), "upstream", "upstreams"), cfg.Server.Listen)
	for _, warning := range warnings {
		text += "warning: " + warning.Error() + "\n"
	}
	for _, warning := range doctor.FolderWarnings(cfg) {
		text += "warning: " + warning.Error() + "\n"
	}
	for _, o := range config.Openings(cfg) {
		text += "warning: " + o.String() + "\n"
	}
	for _, each := range cfg.Authn.Issuers {
		routes := 0
		for _, r := range cfg.Routes {
			if r.Issuer == each.Name {
				routes++
			}
		}
		text += fmt.Sprintf("note: issuer %s, for %s: %v\n", each.Name, counted(routes, "route", "routes"), each)
	}
	for _, c := range cfg.Gateway().Covered() {
		text += "note: " + c.String() + "\n"
	}
	if on := cfg.Authn.OnUser; on.Upstream != "" {
		text += "note: " + toldOfUsers(cfg.Authn) + "\n"
	}
	if cfg.Storage.Driver == storage.DriverMySQL {
		text += "note: users and sessions are in the database " + mysql.Place(cfg.Storage.MySQL) + "; limits are counted on each gateway by itself\n"
	}
	_, err = io.WriteString(w.stdout, text)
	return err
}
