package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"wxgate/authn"
)

type checkCommand struct{}

// Run reads the configuration and the files that it names as serve would and says whether they hold, and what may not
// be meant: it opens neither store nor socket.
func (checkCommand) Run(w *world) error {
	cfg, warnings, err := openConfig(w.config, w.env)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s is valid: %s, %s, listening on %s\n", w.config,
		counted(len(cfg.Routes), "route", "routes"), counted(len(cfg.Upstreams), "upstream", "upstreams"), cfg.Server.Listen)
	for _, warning := range warnings {
		text += "warning: " + warning.Error() + "\n"
	}
	for _, o := range openings(cfg) {
		text += "warning: " + o.String() + "\n"
	}
	_, err = io.WriteString(w.stdout, text)
	return err
}

// checkFiles reads the files of keys and certificates, each by itself: the configuration need not be valid.
func checkFiles(cfg Config) []error {
	faults := authn.CheckKeyFiles(cfg.Authn)
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		for _, fault := range parts(cfg.Upstreams[name].TLS.CheckFiles()) {
			faults = append(faults, fmt.Errorf("upstreams.%s.tls.%w", name, fault))
		}
	}
	return faults
}

// parts are the errors that were joined.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
