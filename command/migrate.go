package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
)

type migrateCommand struct {
	Status migrateStatusCommand `cmd:"" help:"Say which schema the store has, which migrations wait, and whether an older wxgate still works after them. Nothing is changed."`
	Up     migrateUpCommand     `cmd:"" help:"Apply the migrations that wait. A gateway that starts does it too; gateways of the version before may run on meanwhile."`
	Adopt  migrateAdoptCommand  `cmd:"" help:"Make an existing table of users the gateway's own, with its ids, its other columns and the foreign keys to it. Without --apply it only looks."`
}

type migrateStatusCommand struct {
	output
}

// schemaStatus is which schema a store has.
type schemaStatus struct {
	Driver     string            `json:"driver"`
	Schema     int64             `json:"schema"`           // 0: there are no data yet
	Knows      int64             `json:"knows"`            // the newest that this wxgate knows
	Waiting    int               `json:"waiting"`          // migrations; serve applies them
	WayBack    bool              `json:"way_back"`         // an older wxgate still works with the store after those
	Migrations []migrationStatus `json:"migrations"`       // of a database
	Folder     string            `json:"folder,omitempty"` // of badger
}

type migrationStatus struct {
	Version int64      `json:"version"`
	Name    string     `json:"name"`
	Applied *time.Time `json:"applied"` // null: it waits
}

// Run lists the migrations.
func (c migrateStatusCommand) Run(ctx context.Context, w *env) error {
	cfg, err := config.LoadStorage(w.config, w.lookup)
	if err != nil {
		return err
	}
	status, err := statusOf(ctx, cfg)
	if err != nil {
		return err
	}
	return c.print(w.stdout, status, status.write)
}

func statusOf(ctx context.Context, cfg storage.Config) (schemaStatus, error) {
	if cfg.Driver == storage.DriverMySQL {
		return databaseStatus(ctx, cfg.MySQL)
	}
	return folderStatus(cfg.Badger.Dir)
}

func databaseStatus(ctx context.Context, cfg storage.MySQL) (schemaStatus, error) {
	known, newest, err := mysql.Status(ctx, cfg)
	if err != nil {
		return schemaStatus{}, err
	}
	s := schemaStatus{Driver: storage.DriverMySQL, Schema: newest, Knows: known[len(known)-1].Version, WayBack: true}
	for _, m := range known {
		each := migrationStatus{Version: m.Version, Name: m.Name}
		if m.Applied.IsZero() {
			s.Waiting++
			s.WayBack = s.WayBack && !m.NoBack
		} else {
			each.Applied = &m.Applied
		}
		s.Migrations = append(s.Migrations, each)
	}
	return s, nil
}

// folderStatus says which schema the data in a folder have.
func folderStatus(dir string) (schemaStatus, error) {
	has, knows, err := badger.Schema(dir)
	s := schemaStatus{Driver: storage.DriverBadger, Schema: int64(has), Knows: int64(knows), WayBack: true, Migrations: []migrationStatus{}, Folder: dir}
	if has != 0 && has != knows {
		s.Waiting, s.WayBack = int(knows-has), false
	}
	return s, err
}

func (s schemaStatus) write(t *table) {
	if s.Driver == storage.DriverBadger {
		s.writeFolder(t)
		return
	}
	t.row("version", "migration", "applied")
	for _, m := range s.Migrations {
		applied := "waits"
		if m.Applied != nil {
			applied = readableTime(*m.Applied)
		}
		t.row(m.Version, m.Name, applied)
	}
	switch {
	case s.Schema > s.Knows:
		t.row(fmt.Sprintf("the database has migration %d already, of a newer wxgate; this one knows %d and works with it", s.Schema, s.Knows))
	case s.Waiting == 0:
		t.row("nothing waits")
	default:
		t.row(counted(s.Waiting, "migration waits", "migrations wait") + "; serve or `wxgate migrate up` applies them")
		back := "an older wxgate still works with the database after that"
		if !s.WayBack {
			back = "an older wxgate cannot work with the database after that: make a backup of it first"
		}
		t.row(back)
	}
}

func (s schemaStatus) writeFolder(t *table) {
	switch {
	case s.Schema == 0:
		t.row(s.Folder + " has no data yet")
	case s.Schema == s.Knows:
		t.row(fmt.Sprintf("the data in %s have schema %d, the newest that this wxgate knows; nothing waits", s.Folder, s.Schema))
	default:
		t.row(fmt.Sprintf("the data in %s have schema %d; serve migrates them to %d when it starts", s.Folder, s.Schema, s.Knows))
		t.row("an older wxgate cannot open them after that: stop wxgate and copy the folder first")
	}
}

type migrateUpCommand struct {
	output
}

// Run applies the migrations that wait.
func (c migrateUpCommand) Run(ctx context.Context, w *env) error {
	cfg, err := databaseConfig(w)
	if err != nil {
		return err
	}
	done, err := mysql.Up(ctx, cfg.MySQL, warnings(w))
	applied := struct {
		Applied []string `json:"applied"`
	}{[]string{}}
	for _, m := range done {
		applied.Applied = append(applied.Applied, m.Name)
	}
	return errors.Join(c.print(w.stdout, applied, func(t *table) {
		for _, name := range applied.Applied {
			t.row("applied " + name)
		}
		if err == nil && len(done) == 0 {
			t.row("nothing waits")
		}
	}), err)
}

// warnings is a log of what a person should see who waits for a command.
func warnings(w *env) *slog.Logger {
	return slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type migrateAdoptCommand struct {
	output

	Table    string            `arg:"" help:"The table, in the database of storage.mysql.dsn."`
	App      string            `required:"" placeholder:"APPID" help:"The mini-program of its users."`
	Map      map[string]string `placeholder:"KEY=COLUMN,…" help:"Which column is which of the gateway's; otherwise it has its name, such as openid or openId. KEY= leaves the column of that name to you."`
	TimeZone string            `name:"time-zone" placeholder:"+08:00" help:"Of the backend's connections, for columns of type DATETIME; the server's if omitted."`
	Apply    bool              `help:"Do it. Without it, nothing is changed, and what would be done is printed."`
}

// Run looks at the table, and adopts it.
func (c migrateAdoptCommand) Run(ctx context.Context, w *env) error {
	cfg, miniPrograms, err := config.LoadStorageAndApps(w.config, w.lookup)
	if err = cmp.Or(err, wantDatabase(cfg)); err != nil {
		return err
	}
	wanted := mysql.Adoption{Table: c.Table, AppID: c.App, Columns: c.Map, TimeZone: c.TimeZone}
	for _, app := range miniPrograms.Each() {
		wanted.Apps = append(wanted.Apps, app.AppID)
	}
	var found mysql.Adopted
	if c.Apply {
		found, err = mysql.Adopt(ctx, cfg, wanted, warnings(w))
	} else {
		found, err = mysql.CheckAdoption(ctx, cfg, wanted)
	}
	if err != nil {
		return err
	}
	for _, warning := range miniPrograms.Warnings().At("wechat") { // of the form of appids
		found.Notes = append(found.Notes, warning.Error())
	}
	if err := c.write(w.stdout, found); err != nil {
		return err
	}
	if len(found.InTheWay) > 0 {
		return fmt.Errorf("%s: nothing was changed", counted(len(found.InTheWay), "thing is in the way", "things are in the way"))
	}
	return nil
}

// adoption is what an adoption did or would do, for a program.
type adoption struct {
	Table       string   `json:"table"`
	Users       int64    `json:"users"`        // rows of the table
	SessionKeys int64    `json:"session_keys"` // that were sealed, or would be
	InTheWay    []string `json:"in_the_way"`   // reasons why nothing was changed
	Notes       []string `json:"notes"`
	Statements  []string `json:"statements"` // that were run, or would be
	Back        []string `json:"back"`       // that undo them
	Unfinished  bool     `json:"unfinished"` // an earlier adoption was cut off
	Applied     bool     `json:"applied"`
}

func (c migrateAdoptCommand) write(out io.Writer, found mysql.Adopted) error {
	if !c.JSON {
		_, err := io.WriteString(out, c.report(found))
		return err
	}
	list := func(lines []string) []string { return append([]string{}, lines...) }
	return c.printJSON(out, adoption{
		Table: c.Table, Users: found.Users, SessionKeys: found.Keys, InTheWay: list(found.InTheWay), Notes: list(found.Notes),
		Statements: list(found.Statements), Back: list(found.Back), Unfinished: found.Unfinished, Applied: c.Apply && len(found.InTheWay) == 0,
	})
}

// report says what was found, what is done or would be, and how to go back.
func (c migrateAdoptCommand) report(found mysql.Adopted) string {
	var text strings.Builder
	list := func(title string, lines []string, end string) {
		if len(lines) > 0 {
			_, _ = fmt.Fprintf(&text, "%s:\n  %s%s\n", title, strings.Join(lines, end+"\n  "), end)
		}
	}
	_, _ = fmt.Fprintf(&text, "%s: %s, %s\n", c.Table, counted(int(found.Users), "row", "rows"), counted(int(found.Keys), "session_key", "session_keys"))
	list("in the way", found.InTheWay, "")
	list("note", found.Notes, "")
	switch {
	case len(found.InTheWay) > 0:
		return text.String()
	case len(found.Statements) == 0 && found.Keys == 0:
		_, _ = fmt.Fprintf(&text, "it was adopted earlier and is wxgate_users, with a view of the name %s\n", c.Table)
	case c.Apply:
		_, _ = fmt.Fprintf(&text, "it was adopted and is wxgate_users, with a view of the name %s; the session_keys are sealed\n", c.Table)
	case found.Unfinished:
		list("an adoption was cut off; --apply goes on with", found.Statements, ";")
	default:
		list("--apply does this, with every gateway stopped, and seals and clears the session_keys", found.Statements, ";")
	}
	list("the way back, with every gateway stopped; then drop the tables wxgate_… before another start", found.Back, ";")
	return text.String()
}

// databaseConfig is the section storage of a configuration whose store is a database.
func databaseConfig(w *env) (storage.Config, error) {
	cfg, err := config.LoadStorage(w.config, w.lookup)
	return cfg, cmp.Or(err, wantDatabase(cfg))
}

func wantDatabase(cfg storage.Config) error {
	if cfg.Driver != storage.DriverMySQL {
		return errors.New("the store is a folder, which serve migrates when it starts; this is for storage.driver: mysql")
	}
	return nil
}
