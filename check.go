package main

import "fmt"

type checkCommand struct{}

// Run reads the configuration as serve would and says whether it holds; it opens neither store nor socket.
func (checkCommand) Run(w *world) error {
	cfg, err := loadConfig(w.config, w.env)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "%s is valid: %d routes, %d upstreams, listening on %s\n",
		w.config, len(cfg.Routes), len(cfg.Upstreams), cfg.Server.Listen)
	return err
}
