package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"wxgate/command/progress"
	"wxgate/config"
	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
)

type backupCommand struct {
	output
	quiet

	File    string `arg:"" help:"The file to write. It appears once it is complete."`
	WithKey bool   `name:"with-key" help:"Also write the key of session_keys and phone numbers into the file: who has the file can read them. Asks first."`
	Yes     bool   `help:"Do not ask for confirmation."`
}

// Run takes a backup of the running gateway, and reads it while it is written.
func (c backupCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	if err := wantNew(c.File); err != nil {
		return err
	}
	var keys [][]byte
	if c.WithKey {
		var err error
		if keys, err = c.keys(w); err != nil {
			return err
		}
	}
	var done backup.Summary
	began := time.Now()
	bar := progress.New(w.stderr, "users", c.Quiet || c.JSON)
	client.stderr = bar
	err := backup.WriteFile(c.File, func(file io.Writer) error {
		answer, err := client.send(ctx, http.MethodGet, "/api/store/backup", "", nil)
		if err != nil {
			return err
		}
		defer answer.Close()
		if c.WithKey {
			done, err = backup.WriteWithKey(ctx, file, received{answer, bar}, keys)
		} else {
			done, err = backup.Read(io.TeeReader(answer, file), counting(bar, func(storage.Record) error { return nil }))
		}
		return err
	})
	bar.End()
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	made := backedUp{c.File, done.Users(), done.At, info.Size(), time.Since(began).Seconds(), append(storage.KeyChecks{}, done.KeyChecks...), c.WithKey}
	return c.print(w.stdout, made, func(t *table) { made.write(t) })
}

// backedUp is a backup that was made.
type backedUp struct {
	File      string            `json:"file"`
	Users     int               `json:"users"`
	At        time.Time         `json:"at"` // what was written by then is in it
	Bytes     int64             `json:"bytes"`
	Seconds   float64           `json:"seconds"`    // that it took
	KeyChecks storage.KeyChecks `json:"key_checks"` // of the keys that open its secrets; none: there is no secret
	WithKey   bool              `json:"with_key"`   // they are in it
}

func (b backedUp) write(t *table) {
	key := fmt.Sprintf("The key that opens its secrets is not in it: keep that (check %v) somewhere else.", b.KeyChecks)
	switch {
	case len(b.KeyChecks) == 0:
		key = "No secret is in it."
	case b.WithKey:
		key = "The key that opens its secrets is in it: whoever has the file can read every phone number."
	}
	took := time.Duration(b.Seconds * float64(time.Second)).Round(100 * time.Millisecond)
	t.row(fmt.Sprintf("%s has %s as of %s: %s in %v", b.File, counted(b.Users, "user", "users"), readableTime(b.At), megabytes(b.Bytes), took))
	t.row(key)
}

// megabytes is a size for people; what is less than one is in KB, so that no file is said to be empty.
func megabytes(bytes int64) string {
	const kilo, mega = 1000, 1000_000
	if bytes < mega {
		return fmt.Sprintf("%d KB", (bytes+kilo-1)/kilo)
	}
	return fmt.Sprintf("%d MB", bytes/mega)
}

// keys are those of gateway.yaml, once the operator has agreed that they leave it. The gateway tells nobody its keys.
func (c backupCommand) keys(w *env) ([][]byte, error) {
	cfg, err := config.LoadStorage(w.config, w.lookup)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key is not here: %w; --with-key wants to run where the data folder of the gateway is", err)
	}
	if err != nil || c.Yes {
		return keys, err
	}
	_, _ = fmt.Fprintf(w.stderr, "With its key in it, whoever gets %s can read every phone number and session_key. Type yes to continue: ", c.File)
	var typed string
	if _, err := fmt.Fscanln(w.stdin, &typed); err != nil || typed != "yes" {
		_, _ = fmt.Fprintln(w.stderr)
		return nil, errors.New("no backup was made; type yes, or add --yes, or leave out --with-key")
	}
	return keys, nil
}

// received is a backup that arrives, as the source of another one.
type received struct {
	from io.Reader
	bar  *progress.Bar
}

// Snapshot calls each with the records that arrive.
func (r received) Snapshot(_ context.Context, each func(storage.Record) error) error {
	_, err := backup.Read(r.from, counting(r.bar, each))
	return err
}

// counting shows how many users each was called with, and about which share of a backup that is.
func counting(bar *progress.Bar, each func(storage.Record) error) func(storage.Record) error {
	var all backupShare
	return func(r storage.Record) error {
		share := all.after(r)
		bar.At(all.users, share)
		return each(r)
	}
}

// backupShare estimates how much of a backup has passed. The first half is users: ids are given one after the other, and
// the header has the last. The other half is what belongs to them, about a secret and a session each.
type backupShare struct {
	users, others int64
	first, last   int64 // ids of users
	share         float64
}

// after is the share when a record has passed.
func (b *backupShare) after(r storage.Record) float64 {
	switch r.Kind {
	case storage.KindHeader:
		var header storage.Header
		_ = r.Decode(&header) // who reads the backup says what is wrong with it
		b.last = int64(header.Users)
	case storage.KindUser:
		if b.users++; b.users == 1 {
			var user storage.UserRecord
			_ = r.Decode(&user)
			b.first = user.ID
		}
		b.share = min(0.5, 0.5*float64(b.users)/float64(max(b.last-b.first+1, 1)))
	default:
		b.others++
		b.share = max(b.share, 0.5+0.25*float64(min(b.others, 2*b.users))/float64(max(b.users, 1)))
	}
	return b.share
}

// keysOf are the keys of a store: the configured ones, or that of its folder. fs.ErrNotExist: there is none.
func keysOf(cfg storage.Config) ([][]byte, error) {
	keys, err := cfg.EncryptionKeys.Decode()
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	key, err := badger.KeyOf(cfg.Badger)
	return [][]byte{key}, err
}

// wantKeysOf refuses a store whose keys do not open the secrets of a backup, before it is opened: that may make it. A store
// that has no key yet gets the one in the backup, and put is its file.
func wantKeysOf(cfg storage.Config, of backup.Summary) (put string, err error) {
	keys, err := keysOf(cfg)
	file := badger.KeyFile(cfg.Badger)
	switch {
	case len(of.KeyChecks) == 0:
		return "", nil // there is no secret
	case errors.Is(err, fs.ErrNotExist) && of.Key != "":
		return file, badger.PutKey(cfg.Badger, of.Key)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the secrets of the backup are sealed with the key whose check is %v; make it storage.encryption_key, or put its file there as %s: %w",
			of.KeyChecks, file, storage.ErrWrongKey)
	case err != nil:
		return "", err
	}
	sealer, err := storage.NewSealer(keys...)
	if err != nil {
		return "", err
	}
	err = storage.Header{KeyChecks: of.KeyChecks}.WantKeys(sealer)
	if err != nil && of.Key != "" {
		err = fmt.Errorf("%w; the key that opens them is in the backup, and is used where there is no other: in an empty folder, without storage.encryption_key", err)
	}
	return "", err
}

// restoreFile fills the store of gateway.yaml with a backup.
func (c restoreCommand) restoreFile(ctx context.Context, w *env) (err error) {
	bar := progress.New(w.stderr, "records", c.Quiet || c.JSON)
	defer bar.End()
	log := restoreLog(bar)
	cfg, err := config.LoadStorage(w.config, w.lookup)
	if err != nil {
		return err
	}
	found, err := backup.Verify(c.Path) // all of it, before anything is written
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	place := placeOf(cfg)
	put, err := wantKeysOf(cfg, found)
	if err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	if put != "" && !c.JSON {
		_, _ = fmt.Fprintf(w.stdout, "The key of the backup is in %s now: keep a copy of that file somewhere else.\n", put)
	}
	store, err := openStore(ctx, cfg, log)
	if errors.Is(err, storage.ErrWrongKey) || errors.Is(err, storage.ErrDamaged) {
		return fmt.Errorf("restoring into %s: it has data already, which do not open; move them away, since a backup fills an empty store", place)
	}
	if err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	file, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	done, err := backup.Restore(ctx, store, found, io.TeeReader(file, newShare(bar, file, found)), c.NextUserID, time.Now())
	bar.End()
	if err != nil {
		return fmt.Errorf("restoring into %s: %w", place, err)
	}
	return c.report(w, badger.Restored{
		Latest: done.At, Users: done.Users, Ended: done.Ended, Banned: done.Banned, ID: done.ID,
	}, place, put, "start the gateway where nobody reaches it yet, and run wxgate users import --next-id")
}

// share shows which share of a backup has been read.
type share struct {
	bar     *progress.Bar
	size    int64 // of the file, in bytes
	read    int64
	records int
}

func newShare(bar *progress.Bar, file *os.File, of backup.Summary) *share {
	s := &share{bar: bar, size: 1}
	if info, err := file.Stat(); err == nil {
		s.size = max(info.Size(), 1)
	}
	for _, n := range of.Counts {
		s.records += n
	}
	return s
}

// Write counts what was read.
func (s *share) Write(p []byte) (int, error) {
	s.read += int64(len(p))
	done := float64(s.read) / float64(s.size)
	s.bar.At(int64(done*float64(s.records)), done)
	return len(p), nil
}
