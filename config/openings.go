package config

import (
	"log/slog"
	"slices"

	"wxgate/gateway"
	"wxgate/upstream"
)

// Openings finds the open routes of a configuration that hold protected ones. Upstreams that share a target are one
// service.
func Openings(cfg Config) []gateway.Opening {
	return cfg.Gateway().Openings(func(a, b string) bool {
		return a == b || slices.ContainsFunc(cfg.Upstreams[a].Targets, func(t upstream.Target) bool {
			return slices.ContainsFunc(cfg.Upstreams[b].Targets, func(other upstream.Target) bool { return t.URL == other.URL })
		})
	})
}

// WarnOpenings logs what check says of open routes.
func WarnOpenings(cfg Config, log *slog.Logger) {
	for _, o := range Openings(cfg) {
		log.Warn("an open route holds protected ones of the same service", "open", o.Path, "auth", string(o.Auth), "protected", o.Holds[0], "count", len(o.Holds))
	}
}
