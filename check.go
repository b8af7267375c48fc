package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"wxgate/authn"
)

type checkCommand struct{}

// Run reads the configuration and the files that it names as serve would and says whether they hold, and which
// open routes hold protected ones; it opens neither store nor socket.
func (checkCommand) Run(w *world) error {
	cfg, err := loadOpened(w.config, w.env)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s is valid: %d routes, %d upstreams, listening on %s\n",
		w.config, len(cfg.Routes), len(cfg.Upstreams), cfg.Server.Listen)
	for _, o := range openings(cfg) {
		text += "warning: " + o.String() + "\n"
	}
	_, err = io.WriteString(w.stdout, text)
	return err
}

// checkFiles reads the files of keys and certificates.
func checkFiles(cfg Config) error {
	faults := []error{authn.CheckKeys(cfg.Authn)}
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		if err := cfg.Upstreams[name].TLS.CheckFiles(); err != nil {
			faults = append(faults, fmt.Errorf("upstreams.%s.tls.%w", name, err))
		}
	}
	return errors.Join(faults...)
}
