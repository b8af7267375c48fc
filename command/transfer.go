package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"wxgate/gateway/admin"
	"wxgate/secret"
	"wxgate/storage"
)

// ndjson is the content type of imports and exports: one JSON value per line.
const ndjson = "application/x-ndjson"

const (
	importPiece    = 1 << 20         // bytes of lines that are sent at once; all of them are in the store when the answer comes
	importProgress = 2 * time.Second // between two lines that tell how far an import is
)

type usersImportCommand struct {
	output

	File     string            `arg:"" optional:"" help:"One user per line: {\"id\":7,\"openid\":\"o…\",\"nickname\":\"…\"}; - reads standard input."`
	NextID   userID            `name:"next-id" placeholder:"N" help:"New users get this id or a higher one, so that another login of the backend can go on giving lower ones. Without users to import that is all that is done."`
	DryRun   bool              `name:"dry-run" help:"Import nothing: print ten users and everything that would be refused or left out."`
	MySQL    secret.Text       `name:"from-mysql" placeholder:"DSN" help:"Read the users from MySQL or MariaDB: user:password@tcp(127.0.0.1:3306)/database."`
	Table    string            `default:"users" help:"With --from-mysql: the table (users)."`
	Map      map[string]string `mapsep:"," placeholder:"KEY=COLUMN,…" help:"With --from-mysql: which column has which key of an import; otherwise it has the key's name."`
	TimeZone string            `name:"time-zone" placeholder:"+08:00" help:"With --from-mysql: of columns of type DATETIME; the server's if omitted."`
}

// Validate asks for something to do.
func (c usersImportCommand) Validate() error {
	switch {
	case c.File == "" && c.MySQL == "" && c.NextID == 0:
		return errors.New("name a file of users, or - for standard input")
	case c.File != "" && c.MySQL != "":
		return errors.New("the users come from a file or from --from-mysql, not from both")
	case c.DryRun && c.File == "" && c.MySQL == "":
		return errors.New("--dry-run needs users to look at")
	}
	return nil
}

// importResult is what an import prints.
type importResult struct {
	admin.ImportReport

	NextID int64 `json:"next_id,omitempty"` // of new users, where it was asked for
	DryRun bool  `json:"dry_run,omitempty"`
}

// Run reserves ids and imports users. It returns an error if a line was not imported.
func (c usersImportCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	result := importResult{DryRun: c.DryRun}
	if c.NextID != 0 && !c.DryRun { // first: an import that breaks off leaves no id that two people could get
		var next admin.NextID
		if err := client.ask(ctx, http.MethodPost, "/api/users/next-id", admin.NextID{NextID: int64(c.NextID)}, &next); err != nil {
			return err
		}
		result.NextID = next.NextID
	}
	if c.File == "" && c.MySQL == "" {
		return c.print(w.stdout, admin.NextID{NextID: result.NextID}, func(t *table) { printNextID(t, result.NextID) })
	}
	client.timeout = 0 // the answer comes once the last line is in the store
	i := &usersImport{client: client, stderr: w.stderr, told: time.Now(), dry: c.DryRun}
	err := c.readInto(ctx, w, i)
	result.ImportReport = i.report
	if err != nil {
		if i.lines == 0 {
			return err
		}
		return errors.Join(c.report(w.stdout, result), fmt.Errorf("line %d and those behind it are not imported, or only some of them: %w; "+
			"import the file again, the users who are there already stay as they are", i.lines+1, err))
	}
	return c.report(w.stdout, result)
}

// readInto reads the users from where they are.
func (c usersImportCommand) readInto(ctx context.Context, w *env, i *usersImport) error {
	if c.MySQL != "" {
		return mysqlUsers{c.MySQL, c.Table, c.Map, c.TimeZone, int64(c.NextID), w.stderr}.importInto(ctx, i)
	}
	lines, err := openInput(c.File, w.stdin)
	if err != nil {
		return err
	}
	defer lines.Close()
	return i.run(ctx, lines)
}

func printNextID(t *table, next int64) {
	if next != 0 {
		t.row(fmt.Sprintf("new users get ids from %d on", next))
	}
}

// usersImport imports lines piece by piece, so that neither side holds many of them, and a restart of the gateway or the
// loss of a connection costs one piece.
type usersImport struct {
	client *adminClient
	stderr io.Writer
	told   time.Time // when the progress was told
	piece  bytes.Buffer
	lines  int // of the pieces that are imported
	held   int // in the piece
	dry    bool
	report admin.ImportReport
}

func (i *usersImport) run(ctx context.Context, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, admin.ImportLineLimit)
	begun := false
	for lines.Scan() {
		if first := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff"))); !begun && len(first) > 0 {
			if begun = true; !isUserLine(first) {
				return errNotLines(first)
			}
		}
		if err := i.add(ctx, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := i.send(ctx); err != nil {
		return err
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes", i.lines+1, admin.ImportLineLimit)
	}
	if lines.Err() != nil {
		return fmt.Errorf("reading users: %w", lines.Err())
	}
	return nil
}

// isUserLine reports whether the first line of a file may be a user: it begins an object that does not begin with a list,
// as the documents of database tools do, {"RECORDS":[…]}.
func isUserLine(first []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(first))
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') {
		return false
	}
	if _, err := dec.Token(); err != nil {
		return false
	}
	value, err := dec.Token()
	return err == nil && value != json.Delim('[')
}

// errNotLines is a file that holds no lines of JSON, by its first line. Nothing of it is imported.
func errNotLines(first []byte) error {
	is := "CSV, or no text in UTF-8"
	switch first[0] {
	case '[':
		is = "a JSON array"
	case '{':
		is = "one JSON document"
	}
	return fmt.Errorf("nothing is imported: this is %s; write one object per line, such as {\"id\":7,\"openid\":\"o…\"}", is)
}

// add imports what is held if a line has no room beside it, and holds the line.
func (i *usersImport) add(ctx context.Context, line []byte) error {
	if i.piece.Len() > 0 && i.piece.Len()+len(line) >= importPiece {
		if err := i.send(ctx); err != nil {
			return err
		}
		i.tell()
	}
	i.piece.Write(line)
	i.piece.WriteByte('\n')
	i.held++
	return nil
}

// send imports the piece.
func (i *usersImport) send(ctx context.Context) error {
	path := "/api/users"
	if i.dry {
		path += "?dry_run"
	}
	answer, err := i.client.send(ctx, http.MethodPost, path, ndjson, bytes.NewReader(i.piece.Bytes()))
	if err != nil {
		return err
	}
	defer answer.Close()
	var report admin.ImportReport
	if err := i.client.decode(answer, &report); err != nil {
		return err
	}
	if i.lines == 0 {
		i.report = report
	} else {
		i.report.Add(report, i.lines)
	}
	i.lines, i.held = i.lines+i.held, 0
	i.piece.Reset()
	return nil
}

// tell tells how far a long import is.
func (i *usersImport) tell() {
	if time.Since(i.told) >= importProgress {
		i.told = time.Now()
		_, _ = fmt.Fprintf(i.stderr, "wxgate: %d lines are done\n", i.lines)
	}
}

func (c usersImportCommand) report(w io.Writer, result importResult) error {
	unit := "line"
	if c.MySQL != "" {
		unit = "row"
	}
	counts, lost, refused := "imported %d, failed %d", "lost", counted(result.Failed, unit+" was", unit+"s were")+" not imported"
	if c.DryRun {
		counts, lost = "nothing is written; %d would be imported, %d would fail", "would lose"
		refused = counted(result.Failed, unit, unit+"s") + " would not be imported"
	}
	err := c.print(w, result, func(t *table) {
		for _, user := range result.First {
			t.row(asLine(user))
		}
		t.row(fmt.Sprintf(counts, result.Imported, result.Failed))
		if result.Warned > 0 {
			t.row(fmt.Sprintf("%d of these %s a field that is not valid, see the warnings", result.Warned, lost))
		}
		printNextID(t, result.NextID)
		for _, e := range result.Errors {
			t.row(c.place(e.Line, e.ID), e.Reason, e.Detail)
		}
		for _, e := range result.Warnings {
			t.row(c.place(e.Line, e.ID), "warning", e.Detail)
		}
	})
	if err == nil && result.Failed > 0 {
		err = errors.New(refused)
	}
	return err
}

// place says where a user stands: in a line of a file, or in the row of a table with that id.
func (c usersImportCommand) place(line int, id int64) string {
	switch {
	case c.MySQL == "" && id == 0:
		return fmt.Sprintf("line %d", line)
	case c.MySQL == "":
		return fmt.Sprintf("line %d, user %d", line, id)
	case id == 0:
		return "a row"
	}
	return fmt.Sprintf("user %d", id)
}

// asLine writes a user as an export does.
func asLine(user storage.User) string {
	var line strings.Builder
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(user) // no field can fail
	return strings.TrimSpace(line.String())
}

// openInput opens a file, or standard input if the name is -.
func openInput(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", err)
	}
	return f, nil
}

type usersExportCommand struct{}

// Run prints each user as a line of JSON.
func (usersExportCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	answer, err := client.send(ctx, http.MethodGet, "/api/users/export", "", nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	if _, err := io.Copy(w.stdout, answer); err != nil {
		return fmt.Errorf("the export is not complete: %w", err)
	}
	return nil
}
