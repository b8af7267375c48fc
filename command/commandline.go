package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"wxgate/command/completion"
	"wxgate/command/lesson"
	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/input"
	"wxgate/process"
)

// userID is a user's id on the command line.
type userID int64

// UnmarshalText reads a userID. 010 and 0x10 are refused, since other programs read them in different ways.
func (id *userID) UnmarshalText(text []byte) error {
	n, err := input.UserID(string(text))
	*id = userID(n)
	return err
}

// versionFlag is --version.
type versionFlag bool

// BeforeReset prints the version and exits, whatever else was typed.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	_, err := fmt.Fprintln(app.Stdout, process.BuildVersion())
	app.Exit(0)
	return err
}

// newParser returns a parser that reads durations and numbers as the admin API and gateway.yaml do.
func newParser(ctx context.Context, cli *commands, w *env, exit func(code int)) (*kong.Kong, error) {
	count := mapper(func(text string) (reflect.Value, error) {
		n, err := input.Count(text)
		return reflect.ValueOf(n), err
	})
	duration := mapper(func(text string) (reflect.Value, error) {
		d, err := input.Duration(text)
		return reflect.ValueOf(d), err
	})
	parser, err := kong.New(cli,
		kong.Name("wxgate"),
		kong.Description("The front door of a WeChat mini-program."),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(exit),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(w),
		kong.BindToProvider(newAdminClient),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), duration),
		kong.KindMapper(reflect.Int, count),
		kong.KindMapper(reflect.Int64, count),
	)
	if err == nil {
		lesson.Teach(parser.Model)
	}
	return parser, err
}

// mapper makes a kong.Mapper of a function that reads a value.
func mapper(read func(text string) (reflect.Value, error)) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("text", &text); err != nil {
			return err
		}
		value, err := read(text)
		if err == nil {
			target.Set(value.Convert(target.Type()))
		}
		return err
	})
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
	text = regexp.MustCompile(`expected \S+ value but got "EOL" \(<EOL>\)$`).ReplaceAllString(text, "needs a value behind it")
	text = regexp.MustCompile(`^unexpected argument (\S+\.ya?ml)$`).ReplaceAllString(text, "unexpected argument $1; a configuration is named by -c $1")
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil {
		return fmt.Errorf("%s; `%s --help` helps", text, command)
	}
	node := parse.Context.Model.Node
	for _, step := range parse.Context.Path {
		if step.Command != nil && slices.Contains(parse.Context.Args, step.Command.Name) { // the default command is there without being typed
			node = step.Command
		}
	}
	if strings.HasPrefix(text, "expected one of ") {
		text = "say which one: " + strings.Join(namesOf(node.Children), ", ")
	}
	return fmt.Errorf("%s; `%s --help` helps", text, strings.TrimSpace(command+" "+strings.TrimPrefix(node.Path(), "wxgate ")))
}

func namesOf(nodes []*kong.Node) []string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return names
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
