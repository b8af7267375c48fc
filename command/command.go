// Package command is the command line: what a person types, and what is printed in reply.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"wxgate/command/completion"
	"wxgate/config/strictyaml"
	"wxgate/process"
)

// commands is the command line; `wxgate` alone serves.
type commands struct {
	ShowHelp    bool   `instead:"" name:"help" short:"h" help:"Show context-sensitive help."`
	Config      string `short:"c" placeholder:"FILE" help:"The configuration (default: gateway.yaml)."`
	ShowVersion bool   `instead:"" name:"version" short:"v" help:"Print the version."`
	Color       string `enum:"auto,always,never" default:"auto" placeholder:"WHEN" help:"Use colors: auto (on a terminal, unless NO_COLOR is set), always or never."`

	Serve   serveCommand   `cmd:"" default:"1" help:"Run the gateway (the default)."`
	Init    initCommand    `cmd:"" help:"Write a first gateway.yaml, by asking four questions or by flags."`
	Demo    demoCommand    `cmd:"" help:"Run everything on this machine without any setup: a stand-in for WeChat, a recipe service, the gateway."`
	Doctor  doctorCommand  `cmd:"" help:"Check everything that a login and a request depend on, one line each, with what to do."`
	Prove   proveCommand   `cmd:"" help:"Attack the running gateway over the wire, and say whether an identity can be forged or a service be reached past it."`
	Check   checkCommand   `cmd:"" help:"Read the configuration, report every error, start nothing."`
	Routes  routesCommand  `cmd:"" help:"List every route and endpoint that the configuration results in, or write routes for an OpenAPI document."`
	Explain explainCommand `cmd:"" help:"Show what the gateway would do with a request: route, limits, headers, target, or why it is refused."`
	Health  healthCommand  `cmd:"" help:"Ask the running gateway whether it is healthy; for HEALTHCHECK."`

	Dashboard dashboardCommand `cmd:"" help:"Print the URL of the dashboard, with a code that signs your browser in."`

	Users    usersCommand    `cmd:"" help:"List, show, import, export, ban and erase users of the running gateway."`
	Sessions sessionsCommand `cmd:"" help:"List and revoke sessions of the running gateway."`
	Keys     keysCommand     `cmd:"" help:"Create keys that sign tokens."`
	Token    tokenCommand    `cmd:"" help:"Inspect a token."`
	Store    storeCommand    `cmd:"" help:"Copy the store into another, or seal it with another key."`
	Backup   backupCommand   `cmd:"" help:"Write all that the running gateway remembers into a file."`
	Restore  restoreCommand  `cmd:"" help:"Fill the store with a backup, or make a data folder that was put back safe to serve."`
	Migrate  migrateCommand  `cmd:"" help:"Show or apply the migrations of a database (storage.driver: mysql)."`
	Schema   schemaCommand   `cmd:"" help:"Print the JSON Schema of gateway.yaml, by which editors complete keys and mark faults."`

	Completion completionCommand `cmd:"" help:"Print a script that completes commands, flags and values in your shell."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// env is what a command may touch of the process; tests have their own.
type env struct {
	lookup strictyaml.LookupEnv
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	config string // path of gateway.yaml
	named  bool   // by -c
	color  string // --color
	json   bool   // --json: errors are JSON too
	queues []*process.LogQueue
}

// queued makes an output safe for a server to write to, even when its reader stalls or leaves: see process.LogQueue.
func (w *env) queued(out *io.Writer) *process.LogQueue {
	signal.Ignore(syscall.SIGPIPE) // by default it kills a process whose reader has left
	queue := process.NewLogQueue(*out)
	*out = queue
	w.queues = append(w.queues, queue)
	return queue
}

// flush writes the lines that are still queued.
func (w *env) flush() {
	for _, queue := range w.queues {
		queue.Close(process.LogFlush)
	}
}

// Run runs the command line of this process and returns the exit code.
func Run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGTERM) // service managers send it to every process of the group, and so do we
		stop()                         // a second Ctrl-C ends a drain that takes too long
	})
	w := &env{lookup: strictyaml.WithCredentials(os.LookupEnv, os.ReadFile), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	return runCommand(ctx, os.Args[1:], w)
}

// runCommand runs a command line. The exit code is 0 on success, 1 when the command failed, 2 when the command line is
// wrong.
func runCommand(ctx context.Context, args []string, w *env) int {
	var line commands
	w.json = slices.Contains(args, "--json")
	program, err := newProgram(&line)
	if err != nil {
		return report(w, err, 2)
	}
	if len(args) > 0 && args[0] == completion.Word {
		completion.Write(w.stdout, program, args[1:], completions(w))
		return 0
	}
	command, err := program.Parse(withHelpFlag(args))
	if err != nil {
		return report(w, usageError(err), 2)
	}
	defer w.flush()
	w.config, w.named, w.color = cmp.Or(line.Config, "gateway.yaml"), line.Config != "", line.Color
	switch {
	case line.ShowHelp:
		err = command.WriteHelp(w.stdout, w.columns())
	case line.ShowVersion:
		_, err = fmt.Fprintln(w.stdout, process.BuildVersion())
	default:
		err = withoutFile(w, runOf(command.Command())(ctx, w)) // a test looks at every command
	}
	var code process.ExitCode
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		return report(w, err, 1)
	}
	return 0
}

// withoutFile adds advice to the error of a command that found no gateway.yaml and was given no other file.
func withoutFile(w *env, err error) error {
	if missing, ok := errors.AsType[*fs.PathError](err); ok && !w.named && missing.Path == w.config && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; -c FILE names another one, and `wxgate demo` needs none", err)
	}
	return err
}

// failed is an error for a program.
type failed struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
	Status   int    `json:"status,omitempty"` // of a refusal of the running gateway
	Reason   string `json:"reason,omitempty"` // of docs/api.md, likewise
}

// report tells an error to people, or to a program that asked for JSON. If stderr is closed, there is nobody left to tell.
func report(w *env, err error, code int) int {
	if w.json {
		failure := failed{Error: err.Error(), ExitCode: code}
		if refusal, ok := errors.AsType[refusal](err); ok {
			failure.Status, failure.Reason = refusal.status, refusal.reason
		}
		_ = output{}.printJSON(w.stderr, failure)
		return code
	}
	_, _ = io.WriteString(w.stderr, w.paint(w.stderr, fmt.Sprintf("wxgate: %v\n", err)))
	return code
}

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

type versionCommand struct {
	output
}

// Run prints the version, and what it was built with.
func (c versionCommand) Run(w *env) error {
	built := process.BuildVersion()
	return c.print(w.stdout, built, func(t *table) { t.row(built) })
}
