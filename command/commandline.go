package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"wxgate/command/cli"
	"wxgate/command/completion"
	"wxgate/command/lesson"
	"wxgate/command/progress"
	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/input"
)

// userID is a user's id on the command line.
type userID int64

// UnmarshalText reads a userID. 010 and 0x10 are refused, since other programs read them in different ways.
func (id *userID) UnmarshalText(text []byte) error {
	n, err := input.UserID(string(text))
	*id = userID(n)
	return err
}

// newProgram returns the command line, with its lessons.
func newProgram(line *commands) (*cli.Node, error) {
	program, err := cli.New("wxgate", line)
	if err == nil {
		program.Help = "The front door of a WeChat mini-program."
		lesson.Teach(program)
	}
	return program, err
}

// runOf is the method Run of a command, which gets what it asks for; nil if there is none.
func runOf(command any) func(ctx context.Context, w *env) error {
	switch command := command.(type) {
	case interface{ Run(w *env) error }:
		return func(_ context.Context, w *env) error { return command.Run(w) }
	case interface {
		Run(ctx context.Context, w *env) error
	}:
		return command.Run
	case interface {
		Run(ctx context.Context, w *env, client *adminClient) error
	}:
		return func(ctx context.Context, w *env) error {
			client, err := newAdminClient(w)
			if err != nil {
				return err
			}
			return command.Run(ctx, w, client)
		}
	}
	return nil
}

// columns is how wide help is: as COLUMNS says, or the terminal.
func (w *env) columns() int {
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		return columns
	}
	return progress.Width(w.stdout)
}

// withHelpFlag returns the arguments with `help users ban` written as `users ban --help`.
func withHelpFlag(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		return append(append([]string{}, args[1:]...), "--help")
	}
	return args
}

// usageError says what is wrong with a command line in terms of what was typed, and where to get help.
func usageError(err error) error {
	text, command := err.Error(), "wxgate"
	text = regexp.MustCompile(`^unexpected argument (\S+\.ya?ml)$`).ReplaceAllString(text, "unexpected argument $1; a configuration is named by -c $1")
	if wrong, ok := errors.AsType[*cli.Error](err); ok {
		command = strings.TrimSpace(command + " " + wrong.At.Path())
	}
	return fmt.Errorf("%s; `%s --help` helps", text, command)
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Run prints the script of a shell. It asks this program for every completion.
func (c completionCommand) Run(w *env) error {
	_, err := io.WriteString(w.stdout, completion.Script(c.Shell))
	return err
}

// completions are the values of flags and arguments that are known here.
func completions(w *env) completion.Values {
	return func(kind, file string) (all []completion.Candidate) {
		switch kind {
		case "finding":
			kinds := audit.Kinds()
			for _, id := range slices.Sorted(maps.Keys(kinds)) {
				all = append(all, completion.Candidate{Value: id, Does: string(kinds[id])})
			}
		case "method":
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
				all = append(all, completion.Candidate{Value: method})
			}
		case "upstream":
			cfg, _ := config.LoadRoutingToFill(file, w.lookup) // what could be read of it
			for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
				all = append(all, completion.Candidate{Value: name})
			}
		}
		return all
	}
}
