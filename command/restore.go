package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"wxgate/command/progress"
	"wxgate/storage/badger"
)

type restoreCommand struct {
	output
	quiet

	Path       string `arg:"" complete:"file" help:"A file of wxgate backup, which fills the store of gateway.yaml, or a data folder that was put back. wxgate must not be running on it."`
	NextUserID uint64 `name:"next-user-id" placeholder:"ID" help:"The first id for new users: one above every id that your services have seen."`
}

// maxNextUserID leaves as many ids for new users as there are below it.
const maxNextUserID = 1 << 52

// Run fills the store with a backup, or makes a data folder that was put back safe to serve.
func (c restoreCommand) Run(ctx context.Context, w *env) error {
	if c.NextUserID > maxNextUserID {
		return fmt.Errorf("--next-user-id %d is above 2^52", c.NextUserID)
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	if !info.IsDir() {
		return c.restoreFile(ctx, w)
	}
	bar := progress.New(w.stderr, "sessions", c.Quiet || c.JSON)
	done, err := badger.Restore(c.Path, c.NextUserID, restoreLog(bar), time.Now, func(done, all int64) {
		bar.Of(all, done)
	})
	bar.End()
	if err != nil {
		return fmt.Errorf("restoring %s: %w", c.Path, err)
	}
	return c.report(w, done, c.Path, "", "run this again with --next-user-id")
}

func restoreLog(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// restored is a store that is safe to serve.
type restored struct {
	Store   string    `json:"store"` // the folder or the database
	At      time.Time `json:"at"`    // what happened later is lost
	DataSet string    `json:"data_set"`
	Ended   int       `json:"ended"`              // sessions
	LastID  uint64    `json:"last_id"`            // new users get ids above it
	Banned  []string  `json:"banned"`             // ids of users
	KeyFile string    `json:"key_file,omitempty"` // where the key of the backup was put
}

// report prints what was done to the store, and what a backup cannot bring back. raise says how to raise the ids.
func (c restoreCommand) report(w *env, done badger.Restored, place, keyFile, raise string) error {
	if c.JSON {
		return c.printJSON(w.stdout, restored{place, done.Latest, done.ID, done.Ended, done.Users, append([]string{}, done.Banned...), keyFile})
	}
	latest := readableTime(done.Latest)
	bans := "nobody is banned"
	if len(done.Banned) > 0 {
		bans = "these users are banned: " + strings.Join(done.Banned, ", ")
	}
	lines := []string{
		fmt.Sprintf("%s is as it was at %s, and safe to serve:", place, latest),
		fmt.Sprintf("- %d sessions have ended; the data set has the new id %s, so every token from before is token_revoked", done.Ended, done.ID),
		fmt.Sprintf("- new users get ids above %d", done.Users),
		fmt.Sprintf("- bans are those of the backup: %s", bans),
		fmt.Sprintf("What happened after %s is lost. Repeat its bans and erasures.", latest),
	}
	if c.NextUserID == 0 {
		lines = append(lines, fmt.Sprintf("Ids above %d that were given since will be given to other people. If your services keep data "+
			"under them, %s, above the highest id that they know.", done.Users, raise))
	}
	_, err := fmt.Fprintln(w.stdout, strings.Join(lines, "\n"))
	return err
}
