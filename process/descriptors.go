package process

import (
	"fmt"
	"log/slog"
)

const (
	leastDescriptors = 128  // 64 for services, storage and log, and as many for clients
	fewDescriptors   = 1024 // below it a warning is due
)

// checkDescriptors refuses a limit of open files with which nothing but refusals could be served, and warns of a low one.
// The runtime has raised the soft limit to the hard one already.
func checkDescriptors(limit uint64, log *slog.Logger) error {
	const advice = "raise it with LimitNOFILE= (systemd), --ulimit nofile= (Docker) or ulimit -n; each client connection takes one, and each to a service"
	switch {
	case limit < leastDescriptors:
		return fmt.Errorf("the limit of open files is %d, and wxgate needs %d or more: %s", limit, leastDescriptors, advice)
	case limit < fewDescriptors:
		log.Warn("the limit of open files is low", "limit", limit, "better", 65536, "advice", advice)
	}
	return nil
}
