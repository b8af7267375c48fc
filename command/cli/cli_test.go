package cli_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wxgate/command/cli"
)

type output struct {
	JSON bool `name:"json" short:"j" help:"Print JSON."`
}

// shop is a program with everything that a field can be.
type shop struct {
	Help    bool   `instead:"" short:"h" help:"Show this."`
	Config  string `short:"c" placeholder:"FILE" help:"The configuration."`
	Quiet   bool   `short:"q"`
	Open    open   `cmd:"" default:"1" help:"Open it."`
	Items   items  `cmd:""`
	Prices  prices `cmd:""`
	Closing closed `cmd:"" help:"Close it."`
}

type open struct{ Doors int }

type items struct {
	Add  add  `cmd:"" help:"Add an item, and say at which price and in which colors it is sold from then on."`
	Drop drop `cmd:"" help:"Drop an item."`
}

type add struct {
	output

	Name   string            `arg:"" help:"What it is called."`
	Amount int64             `arg:"" default:"1"`
	Price  uint64            `required:"" placeholder:"CENTS" help:"What it costs."`
	Colors []string          `help:"Its colors."`
	Note   []string          `sep:"none" short:"n" placeholder:"TEXT"`
	Sizes  map[string]string `placeholder:"SIZE=PLACE,SIZE=PLACE" help:"Where it is."`
	Kind   string            `enum:",new,old" default:"" placeholder:"new|old"`
	MaxAge *time.Duration    `placeholder:"DURATION"`
	Every  time.Duration     `default:"1d"`
	From   netip.Addr        `default:"192.0.2.1"`
	Ways   []netip.Addr
}

// Validate refuses names that are too long.
func (a add) Validate() error {
	if len(a.Name) > 20 {
		return errors.New("the name is too long")
	}
	return nil
}

type drop struct {
	Name string `arg:"" optional:""`
	Sort string `arg:"" optional:"" enum:",fast,slow" default:""`
}

type prices struct {
	List list `cmd:"" default:"withflags"`
	Set  set  `cmd:""`
}

type list struct{ output }

type set struct {
	Price int    `arg:""`
	Mode  string `arg:"" enum:"fast,slow"`
}

type closed struct{}

// parse reads words, which are separated by spaces, into a new shop.
func parse(t testing.TB, words string) (*shop, *cli.Node, error) {
	t.Helper()
	s := new(shop)
	program, err := cli.New("shop", s)
	if err != nil {
		t.Fatal(err)
	}
	command, err := program.Parse(strings.Fields(words))
	return s, command, err
}

func TestACommandLineFillsTheStruct(t *testing.T) {
	t.Parallel()
	week, local := 7*24*time.Hour, netip.MustParseAddr("192.0.2.1")
	added := func(change func(a *add)) shop {
		a := add{Name: "tea", Amount: 1, Price: 5, Every: 24 * time.Hour, From: local}
		change(&a)
		return shop{Items: items{Add: a}}
	}
	for words, row := range map[string]struct {
		path string
		want shop
	}{
		"":                               {"open", shop{}},
		"open --doors 2 -q":              {"open", shop{Quiet: true, Open: open{2}}},
		"-c a open -c b":                 {"open", shop{Config: "b"}},
		"-ca closing":                    {"closing", shop{Config: "a"}},
		"-qca closing":                   {"closing", shop{Config: "a", Quiet: true}},
		"--config=a=b closing":           {"closing", shop{Config: "a=b"}},
		"--config - closing":             {"closing", shop{Config: "-"}},
		"--config= closing":              {"closing", shop{}},
		"--quiet=no closing":             {"closing", shop{}},
		"--quiet=YES closing --":         {"closing", shop{Quiet: true}},
		"prices":                         {"prices list", shop{}},
		"prices -j":                      {"prices list", shop{Prices: prices{List: list{output{true}}}}},
		"prices list --json":             {"prices list", shop{Prices: prices{List: list{output{true}}}}},
		"prices set 3 slow":              {"prices set", shop{Prices: prices{Set: set{3, "slow"}}}},
		"items drop":                     {"items drop", shop{}},
		"items drop -- --name":           {"items drop", shop{Items: items{Drop: drop{"--name", ""}}}},
		"-- items drop - slow":           {"items drop", shop{Items: items{Drop: drop{"-", "slow"}}}},
		"items add tea --price 5":        {"items add", added(func(*add) {})},
		"items add --price 0x5 tea 3 -j": {"items add", added(func(a *add) { a.Amount, a.JSON = 3, true })},
		`items add tea --price 5 --colors a,b\,c --colors d`:  {"items add", added(func(a *add) { a.Colors = []string{"a", "b,c", "d"} })},
		`items add tea --price 5 -n a,b --note c\d`:           {"items add", added(func(a *add) { a.Note = []string{"a,b", `c\d`} })},
		"items add tea --price 5 --sizes s=1,m=2= --sizes l=": {"items add", added(func(a *add) { a.Sizes = map[string]string{"s": "1", "m": "2=", "l": ""} })},
		"items add tea --price 5 --kind old --max-age 7d":     {"items add", added(func(a *add) { a.Kind, a.MaxAge = "old", &week })},
		"items add tea --price 5 --ways ::1,192.0.2.1": {"items add", added(func(a *add) {
			a.Ways = []netip.Addr{netip.IPv6LinkLocalAllNodes(), local}
			a.Ways[0] = netip.IPv6Loopback()
		})},
		"items --help --config x": {"items", shop{Help: true, Config: "x"}},
		"-h items add":            {"items add", shop{Help: true, Items: items{Add: add{Amount: 1, Every: 24 * time.Hour, From: local}}}},
	} {
		got, command, err := parse(t, words)
		if err != nil || command.Path() != row.path {
			t.Errorf("%q: got %v and %v, want the command %s", words, command, err, row.path)
			continue
		}
		if row.want.Items.Add.Every == 0 { // every default is there, whatever was typed
			row.want.Items.Add.Every, row.want.Items.Add.From, row.want.Items.Add.Amount = 24*time.Hour, local, 1
		}
		if !reflect.DeepEqual(*got, row.want) {
			t.Errorf("%q: got %+v, want %+v", words, *got, row.want)
		}
	}
}

func TestWhatIsWrongWithACommandLineIsSaid(t *testing.T) {
	t.Parallel()
	for words, row := range map[string]struct{ at, want string }{
		"opne":                                  {"", `unexpected argument opne, did you mean "open"?`},
		"open door":                             {"open", "unexpected argument door"},
		"items":                                 {"items", "say which one: add, drop"},
		"items ad":                              {"items", `unexpected argument ad, did you mean "add"?`},
		"prices lst":                            {"prices", `unexpected argument lst, did you mean one of "list", "set"?`},
		"items -j":                              {"items", "unknown flag -j, did you mean one of "},
		"--confg x":                             {"", `unknown flag --confg, did you mean "--config"?`},
		"--nonsense":                            {"", "unknown flag --nonsense"},
		"-é":                                    {"", "unknown flag -é, did you mean one of "},
		"open --json":                           {"open", "unknown flag --json"},
		"prices --json set 3 fast":              {"prices", `flag --json applies to the default command "list", not "set"`},
		"prices set 3":                          {"prices set", `expected "<mode>"`},
		"prices set":                            {"prices set", `expected "<price> <mode>"`},
		"prices set x slow":                     {"prices set", `<price>: "x" is not a whole number`},
		"prices set 3 wild":                     {"prices set", `<mode> must be one of "fast","slow" but got "wild"`},
		"items drop x wild":                     {"items drop", `[<sort>] must be one of "","fast","slow" but got "wild"`},
		"items add":                             {"items add", "missing flags: --price=CENTS"},
		"items add --price 1":                   {"items add", `expected "<name>"`},
		"items add x --price -1":                {"items add", `--price: needs a value behind it; perhaps try --price="-1"?`},
		"items add x --price=-1":                {"items add", `--price: expected a valid 64 bit uint but got "-1"`},
		"items add x --price":                   {"items add", "--price: needs a value behind it"},
		"items add x -cq=1 --price":             {"items add", "--price: needs a value behind it"},
		"items add x 010":                       {"items add", `[<amount>]: "010" is not a whole number`},
		"items add x --price 1 --kind worn":     {"items add", `--kind must be one of "","new","old" but got "worn"`},
		"items add x --price 1 --sizes m":       {"items add", `--sizes: expected "<key>=<value>" but got "m"`},
		"items add x --price 1 --max-age soon":  {"items add", `--max-age: "soon" is not a duration`},
		"items add x --price 1 --from here":     {"items add", "--from: "},
		"items add x --price 1 --ways ::1,here": {"items add", "--ways: "},
		"--quiet=perhaps":                       {"", `--quiet: bool value must be true, 1, yes, false, 0 or no but got "perhaps"`},
		"items add aaaaaaaaaaaaaaaaaaaaaaaaaa":  {"items add", "items add: the name is too long"},
		"items --nosuch --help":                 {"items", "unknown flag --nosuch"},
	} {
		_, _, err := parse(t, words)
		wrong, ok := errors.AsType[*cli.Error](err)
		if !ok || !strings.HasPrefix(err.Error(), row.want) || wrong.At.Path() != row.at {
			t.Errorf("%q: got %v, want %q at %q", words, err, row.want, row.at)
		}
	}
}

func TestHelpSaysWhatCanBeTyped(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"": `Usage: shop <command> [flags]

A shop.

It sells tea.

Examples:

    shop open   # as it is

Flags:
  -h, --help           Show this.
  -c, --config=FILE    The configuration.
  -q, --quiet

Commands:
  open [flags]
    Open it.

  items add --price=CENTS <name> [<amount>] [flags]
    Add an item, and say at which price and in which colors
    it is sold from then on.

  items drop [<name>] [<sort>]
    Drop an item.

  prices list [flags]

  prices set <price> <mode>

  closing [flags]
    Close it.

Run "shop <command> --help" for more information on a command.
`,
		"items add": `Usage: shop items add --price=CENTS <name> [<amount>] [flags]

Add an item, and say at which price and in which colors it
is sold from then on.

Arguments:
  <name>        What it is called.
  [<amount>]

Flags:
  -h, --help                 Show this.
  -c, --config=FILE          The configuration.
  -q, --quiet

  -j, --json                 Print JSON.
      --price=CENTS          What it costs.
      --colors=COLORS,...    Its colors.
  -n, --note=TEXT
      --sizes=SIZE=PLACE,SIZE=PLACE
                             Where it is.
      --kind=new|old
      --max-age=DURATION
      --every=1d
      --from=192.0.2.1
      --ways=WAYS,...
`,
		"items": `Usage: shop items <command> [flags]

Flags:
  -h, --help           Show this.
  -c, --config=FILE    The configuration.
  -q, --quiet

Commands:
  items add --price=CENTS <name> [<amount>] [flags]
    Add an item, and say at which price and in which colors
    it is sold from then on.

  items drop [<name>] [<sort>]
    Drop an item.
`,
	} {
		program, err := cli.New("shop", new(shop))
		if err != nil {
			t.Fatal(err)
		}
		program.Help, program.Detail = "A shop.", "It sells tea.\n\nExamples:\n\n    shop open   # as it is\n"
		command, err := program.Parse(append(strings.Fields(words), "--help"))
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := command.WriteHelp(&got, 60); err != nil || got.String() != want {
			t.Errorf("%q: %v, and the help is\n%s\nwant\n%s", words, err, got.String(), want)
		}
		for _, columns := range []int{-1, 0, 1, 10, 1000} {
			if err := command.WriteHelp(new(strings.Builder), columns); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestASecondCommandLineKnowsNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	s := new(shop)
	program, err := cli.New("shop", s)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := program.Parse(strings.Fields("items add tea --price 1 --colors a --sizes s=1 -q")); err != nil || len(s.Items.Add.Colors) != 1 {
			t.Errorf("got %v and %+v, want one color", err, s)
		}
	}
	if _, err := program.Parse([]string{"items", "add", "tea"}); err == nil || s.Quiet || s.Items.Add.Sizes != nil {
		t.Errorf("got %v and %+v, want nothing of the first line", err, s)
	}
}

func TestAStructThatIsNoCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	for name, grammar := range map[string]any{
		"a channel": &struct{ C chan int }{}, "a map of numbers": &struct{ M map[string]int }{}, "a list of structs": &struct{ L []struct{} }{},
		"a default that is no number": &struct {
			N int `default:"x"`
		}{},
		"in a command": &struct {
			C struct{ F float64 } `cmd:""`
		}{},
		"embedded": &struct{ bad }{},
	} {
		if _, err := cli.New("x", grammar); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type bad struct{ E error }

// TestAListHasWhatWasTyped escapes separators.
func TestAListHasWhatWasTyped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		items := rapid.SliceOfN(rapid.StringMatching(`[a-z=, "-]{0,3}[a-z=, "-]`), 1, 5).Draw(r, "items")
		var escaped []string
		for _, item := range items {
			escaped = append(escaped, strings.ReplaceAll(item, ",", `\,`))
		}
		s := new(shop)
		program, err := cli.New("shop", s)
		if err != nil {
			r.Fatal(err)
		}
		if _, err := program.Parse([]string{"items", "add", "x", "--price=1", "--colors=" + strings.Join(escaped, ",")}); err != nil || !reflect.DeepEqual(s.Items.Add.Colors, items) {
			r.Errorf("got %q and %v, want %q", s.Items.Add.Colors, err, items)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, words := range []string{"", "items add x --price=1 -qcf --colors=a,b", "prices --json", "-", "-- -x", "--=", "-\xff"} {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		_, command, err := parse(t, words)
		if wrong, ok := errors.AsType[*cli.Error](err); (err == nil) == (command == nil) || err != nil && (!ok || wrong.At == nil) {
			t.Errorf("%q: got %v and %v", words, command, err)
		}
	})
}
