package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

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

type migrateStatusCommand struct{}

// Run lists the migrations.
func (migrateStatusCommand) Run(ctx context.Context, w *env) error {
	cfg, err := config.LoadStorage(w.config, w.lookup)
	if err != nil {
		return err
	}
	if cfg.Driver != storage.DriverMySQL {
		return folderStatus(w, cfg.Badger.Dir)
	}
	known, newest, err := mysql.Status(ctx, cfg.MySQL)
	if err != nil {
		return err
	}
	var rows table
	rows.row("version", "migration", "applied")
	waiting, back := 0, "an older wxgate still works with the database after that\n"
	for _, m := range known {
		applied := "waits"
		switch {
		case !m.Applied.IsZero():
			applied = readableTime(m.Applied)
		case m.NoBack:
			back = "an older wxgate cannot work with the database after that: make a backup of it first\n"
		}
		if m.Applied.IsZero() {
			waiting++
		}
		rows.row(m.Version, m.Name, applied)
	}
	if err := rows.write(w.stdout); err != nil {
		return err
	}
	last := known[len(known)-1].Version
	switch {
	case newest > last:
		_, err = fmt.Fprintf(w.stdout, "the database has migration %d already, of a newer wxgate; this one knows %d and works with it\n", newest, last)
	case waiting > 0:
		_, err = fmt.Fprintf(w.stdout, "%s; serve or `wxgate migrate up` applies them\n%s", counted(waiting, "migration waits", "migrations wait"), back)
	default:
		_, err = io.WriteString(w.stdout, "nothing waits\n")
	}
	return err
}

// folderStatus says which schema the data in a folder have.
func folderStatus(w *env, dir string) error {
	has, knows, err := badger.Schema(dir)
	switch {
	case err != nil:
		return err
	case has == 0:
		_, err = fmt.Fprintf(w.stdout, "%s has no data yet\n", dir)
	case has == knows:
		_, err = fmt.Fprintf(w.stdout, "the data in %s have schema %d, the newest that this wxgate knows; nothing waits\n", dir, has)
	default:
		_, err = fmt.Fprintf(w.stdout, "the data in %s have schema %d; serve migrates them to %d when it starts\n"+
			"an older wxgate cannot open them after that: stop wxgate and copy the folder first\n", dir, has, knows)
	}
	return err
}

type migrateUpCommand struct{}

// Run applies the migrations that wait.
func (migrateUpCommand) Run(ctx context.Context, w *env) error {
	cfg, err := databaseConfig(w)
	if err != nil {
		return err
	}
	done, err := mysql.Up(ctx, cfg.MySQL, warnings(w))
	for _, m := range done {
		_, _ = fmt.Fprintf(w.stdout, "applied %s\n", m.Name)
	}
	if err == nil && len(done) == 0 {
		_, err = io.WriteString(w.stdout, "nothing waits\n")
	}
	return err
}

// warnings is a log of what a person should see who waits for a command.
func warnings(w *env) *slog.Logger {
	return slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type migrateAdoptCommand struct {
	Table    string            `arg:"" help:"The table, in the database of storage.mysql.dsn."`
	App      string            `required:"" placeholder:"APPID" help:"The mini-program of its users."`
	Map      map[string]string `mapsep:"," placeholder:"KEY=COLUMN,…" help:"Which column is which of the gateway's; otherwise it has its name, such as openid or openId. KEY= leaves the column of that name to you."`
	TimeZone string            `name:"time-zone" placeholder:"+08:00" help:"Of the backend's connections, for columns of type DATETIME; the server's if omitted."`
	Apply    bool              `help:"Do it. Without it, nothing is changed, and what would be done is printed."`
}

// Run looks at the table, and adopts it.
func (c migrateAdoptCommand) Run(ctx context.Context, w *env) error {
	cfg, miniPrograms, err := config.LoadStorageAndApps(w.config, w.lookup)
	if err = cmp.Or(err, wantDatabase(cfg)); err != nil {
		return err
	}
	adoption := mysql.Adoption{Table: c.Table, AppID: c.App, Columns: c.Map, TimeZone: c.TimeZone}
	for _, app := range miniPrograms.Each() {
		adoption.Apps = append(adoption.Apps, app.AppID)
	}
	var found mysql.Adopted
	if c.Apply {
		found, err = mysql.Adopt(ctx, cfg, adoption, warnings(w))
	} else {
		found, err = mysql.CheckAdoption(ctx, cfg, adoption)
	}
	if err != nil {
		return err
	}
	for _, warning := range miniPrograms.Warnings().At("wechat") { // of the form of appids
		found.Notes = append(found.Notes, warning.Error())
	}
	if _, err := io.WriteString(w.stdout, c.report(found)); err != nil {
		return err
	}
	if len(found.InTheWay) > 0 {
		return fmt.Errorf("%s: nothing was changed", counted(len(found.InTheWay), "thing is in the way", "things are in the way"))
	}
	return nil
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
