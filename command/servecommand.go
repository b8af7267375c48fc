package command

import (
	"context"

	"wxgate/process"
)

type serveCommand struct {
	Sandbox bool `help:"Try out the file without a mini-program: a sandbox plays WeChat, key and store are discarded, and only this machine is served."`
}

// Run serves until the process is told to stop.
func (c serveCommand) Run(ctx context.Context, w *env) error {
	if c.Sandbox {
		return serveSandbox(ctx, w)
	}
	return process.Run(ctx, w.config, w.lookup, w.queued(&w.stderr))
}
