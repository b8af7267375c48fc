package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/mysql"
)

type migrateCommand struct {
	Status migrateStatusCommand `cmd:"" help:"List the migrations that this wxgate knows, and which were applied. Nothing is changed."`
	Up     migrateUpCommand     `cmd:"" help:"Apply the migrations that wait. A gateway that starts does it too; gateways of the version before may run on meanwhile."`
}

type migrateStatusCommand struct{}

// Run lists the migrations.
func (migrateStatusCommand) Run(ctx context.Context, w *env) error {
	cfg, err := databaseConfig(w)
	if err != nil {
		return err
	}
	known, newest, err := mysql.Status(ctx, cfg)
	if err != nil {
		return err
	}
	var rows table
	rows.row("version", "migration", "applied")
	for _, m := range known {
		applied := "waits"
		if !m.Applied.IsZero() {
			applied = readableTime(m.Applied)
		}
		rows.row(m.Version, m.Name, applied)
	}
	if err := rows.write(w.stdout); err != nil {
		return err
	}
	if last := known[len(known)-1].Version; newest > last {
		_, err = fmt.Fprintf(w.stdout, "the database has migration %d already, of a newer wxgate; this one knows %d and works with it\n", newest, last)
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
	done, err := mysql.Up(ctx, cfg, slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	for _, m := range done {
		_, _ = fmt.Fprintf(w.stdout, "applied %s\n", m.Name)
	}
	if err == nil && len(done) == 0 {
		_, err = io.WriteString(w.stdout, "nothing waits\n")
	}
	return err
}

// databaseConfig is the section storage of a configuration whose store is a database.
func databaseConfig(w *env) (storage.MySQL, error) {
	cfg, err := config.LoadStorage(w.config, w.lookup)
	if err == nil && cfg.Driver != storage.DriverMySQL {
		err = errors.New("the store is a folder, which serve migrates when it starts; migrate is for storage.driver: mysql")
	}
	return cfg.MySQL, err
}
