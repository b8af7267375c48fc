package config

import (
	"fmt"
	"maps"
	"slices"

	"wxgate/authn"
)

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
