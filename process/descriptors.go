package process

import (
	"fmt"
	"log/slog"
)

const (
	leastDescriptors = 128  // 64 for services, storage and the log, and as many for clients
	fewDescriptors   = 1024 // fewer than that are worth a warning
)

// checkDescriptors refuses a limit of open files under which every client would be refused, and warns about a low one.
// The Go runtime has already raised the soft limit to the hard one.
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
