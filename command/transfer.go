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

	"wxgate/command/progress"
	"wxgate/gateway/admin"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/backup"
)

// ndjson is the content type of imports and exports: one JSON value per line.
const ndjson = "application/x-ndjson"

// importPiece is how many bytes of lines are sent at once; all of them are in the store when the answer comes.
const importPiece = 1 << 20

type usersImportCommand struct {
	output
	quiet

	File     string            `arg:"" optional:"" help:"One user per line: {\"id\":7,\"openid\":\"o…\",\"nickname\":\"…\"}, or CSV whose first line names the columns; - reads standard input."`
	Format   string            `enum:",jsonl,csv" default:"" placeholder:"jsonl|csv" help:"Of the file, if its name does not end in .csv or .jsonl."`
	NextID   userID            `name:"next-id" placeholder:"N" help:"New users get this id or a higher one, so that another login of the backend can go on giving lower ones. Without users to import that is all that is done."`
	DryRun   bool              `name:"dry-run" help:"Import nothing: print ten users and everything that would be refused or left out."`
	MySQL    secret.Text       `name:"from-mysql" placeholder:"DSN" help:"Read the users from MySQL or MariaDB: user:password@tcp(127.0.0.1:3306)/database."`
	Table    string            `default:"users" help:"With --from-mysql: the table (users)."`
	Map      map[string]string `placeholder:"KEY=COLUMN,…" help:"With --from-mysql or CSV: which column has which key of an import; otherwise it has the key's name."`
	TimeZone string            `name:"time-zone" placeholder:"+08:00" help:"With --from-mysql: of columns of type DATETIME; the server's if omitted. With CSV: of times without one; UTC if omitted."`
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
	case c.Format != "" && c.File == "":
		return errors.New("--format is that of a file")
	case (len(c.Map) > 0 || c.TimeZone != "") && c.MySQL == "" && formatOf(c.Format, c.File) != formatCSV:
		return errors.New("--map and --time-zone are for columns: those of --from-mysql, or of CSV")
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
		next, err := client.reserveIDs(ctx, int64(c.NextID))
		if err != nil {
			return err
		}
		result.NextID = next
	}
	if c.File == "" && c.MySQL == "" {
		return c.print(w.stdout, admin.NextID{NextID: result.NextID}, func(t *table) { printNextID(t, result.NextID) })
	}
	client.timeout = 0 // the answer comes once the last line is in the store
	i := newUsersImport(client, progress.New(w.stderr, "users", c.Quiet || c.JSON), c.DryRun)
	i.nextID = int64(c.NextID)
	client.stderr = i.progress
	err := c.readInto(ctx, w, i)
	i.progress.End()
	result.ImportReport = i.report
	if i.nextID != 0 && !c.DryRun && err == nil { // a user with a higher id may have been imported
		result.NextID, err = client.reserveIDs(ctx, i.nextID)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	switch {
	case err == nil:
		return c.report(w.stdout, result)
	case i.sent == 0 && ctx.Err() != nil:
		return errors.New("interrupted; the first lines may be imported: import the file again, the users who are there already stay as they are")
	case i.sent == 0:
		return err
	}
	return errors.Join(c.report(w.stdout, result), fmt.Errorf("line %d and those behind it are not imported, or only some of them: %w; "+
		"import the file again, the users who are there already stay as they are", i.next(), err))
}

// readInto reads the users from where they are.
func (c usersImportCommand) readInto(ctx context.Context, w *env, i *usersImport) error {
	if c.MySQL != "" {
		return mysqlUsers{c.MySQL, c.Table, c.Map, c.TimeZone, int64(c.NextID), i.progress}.importInto(ctx, i)
	}
	file, size, err := openInput(c.File, w.stdin)
	if err != nil {
		return err
	}
	defer file.Close()
	from := &countingReader{Reader: file}
	i.share = func() float64 { return float64(from.read) / float64(max(1, size)) }
	if size == 0 {
		i.share = nil
	}
	if formatOf(c.Format, c.File) == formatJSONL {
		return i.run(ctx, from)
	}
	users, err := newCSVUsers(from, c.Map, c.TimeZone, i.progress)
	if err != nil {
		return fmt.Errorf("nothing is imported: %w", err)
	}
	return users.importInto(ctx, i)
}

// countingReader counts what is read.
type countingReader struct {
	io.Reader

	read int64
}

// Read reads and counts.
func (r *countingReader) Read(into []byte) (int, error) {
	n, err := r.Reader.Read(into)
	r.read += int64(n)
	return n, err
}

// reserveIDs gives new users ids from next on, and returns the id of the next one, which may be higher.
func (c *adminClient) reserveIDs(ctx context.Context, next int64) (int64, error) {
	var reserved admin.NextID
	asking := &adminClient{address: c.address, socket: c.socket, tls: c.tls, token: c.token, stderr: c.stderr, timeout: answerTimeout} // an import has none
	err := asking.ask(ctx, http.MethodPost, "/api/users/next-id", admin.NextID{NextID: next}, &reserved)
	return reserved.NextID, err
}

func printNextID(t *table, next int64) {
	if next != 0 {
		t.row(fmt.Sprintf("new users get ids from %d on", next))
	}
}

// usersImport imports lines piece by piece, so that neither side holds many of them, and a restart of the gateway or the
// loss of a connection costs one piece.
type usersImport struct {
	client   *adminClient
	progress *progress.Bar
	share    func() float64 // of the users that are read; nil: nobody knows
	piece    bytes.Buffer
	places   []int // of the lines in the piece, where they are from: a line of the file, or the number of a row
	sent     int   // lines of the pieces that are imported
	last     int   // place of the newest of them
	dry      bool
	nextID   int64 // of new users, at least; 0: nobody asked for one
	report   admin.ImportReport
}

func newUsersImport(client *adminClient, p *progress.Bar, dry bool) *usersImport {
	return &usersImport{client: client, progress: p, dry: dry, report: admin.NewImportReport()}
}

// next is the place of the first line that may not be imported.
func (i *usersImport) next() int {
	if len(i.places) > 0 {
		return i.places[0]
	}
	return i.last + 1
}

func (i *usersImport) run(ctx context.Context, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, admin.ImportLineLimit)
	begun, number := false, 0
	for lines.Scan() {
		number++
		if first := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff"))); !begun && len(first) > 0 {
			if begun = true; !isUserLine(first) {
				return errNotLines(first)
			}
		}
		if err := i.add(ctx, lines.Bytes(), number); err != nil {
			return err
		}
	}
	if err := i.send(ctx); err != nil {
		return err
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes", number+1, admin.ImportLineLimit)
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
	is := "no text in UTF-8, or none of JSON"
	switch {
	case isUTF16(first):
		return fmt.Errorf("nothing is imported: %w", errUTF16)
	case first[0] == '[':
		is = "a JSON array"
	case first[0] == '{':
		is = "one JSON document"
	case looksLikeCSV(first):
		return errors.New("nothing is imported: this is CSV; give the file a name that ends in .csv, or add --format csv")
	}
	return fmt.Errorf("nothing is imported: this is %s; write one object per line, such as {\"id\":7,\"openid\":\"o…\"}", is)
}

// add imports what is held if a line has no room beside it, and holds the line, which is from that place.
func (i *usersImport) add(ctx context.Context, line []byte, place int) error {
	if i.piece.Len() > 0 && i.piece.Len()+len(line) >= importPiece {
		if err := i.send(ctx); err != nil {
			return err
		}
	}
	i.piece.Write(line)
	i.piece.WriteByte('\n')
	i.places = append(i.places, place)
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
	i.report.Add(report, i.place)
	if i.sent += len(i.places); len(i.places) > 0 {
		i.last = i.places[len(i.places)-1]
	}
	i.places = i.places[:0]
	i.piece.Reset()
	i.tell()
	return nil
}

// place is where a line of the piece is from.
func (i *usersImport) place(line int) int {
	if line < 1 || line > len(i.places) {
		return i.next()
	}
	return i.places[line-1]
}

// tell tells how far the import is.
func (i *usersImport) tell() {
	share := 0.0
	if i.share != nil {
		share = i.share()
	}
	i.progress.At(int64(i.sent), share)
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

// openInput opens a file, or standard input if the name is -. Of what is no file the size is 0.
func openInput(name string, stdin io.Reader) (from io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("reading users: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return f, size, nil
}

type usersExportCommand struct {
	quiet

	File   string `arg:"" optional:"" help:"Where to write them, readable by you alone, a file that does not exist; standard output if omitted."`
	Format string `enum:",jsonl,csv" default:"" placeholder:"jsonl|csv" help:"One JSON object per line, or CSV for Excel; by the name of the file, or jsonl, if omitted."`
}

// Run writes each user as a line of JSON, or as a record of CSV.
func (c usersExportCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	if err := wantNew(c.File); err != nil {
		return err
	}
	silent := c.Quiet || c.File == "" && progress.Columns(w.stdout) != nil // the users would be written into the bar
	p := progress.New(w.stderr, "users", silent)
	defer p.End()
	client.stderr = p
	var all int64
	if !silent {
		all = client.countUsers(ctx)
	}
	lines, err := client.send(ctx, http.MethodGet, "/api/users/export", "", nil)
	if err != nil {
		return err
	}
	defer lines.Close()
	export := func(to io.Writer) error {
		write := writeLines
		if formatOf(c.Format, c.File) == formatCSV {
			write = writeCSV
		}
		if err := write(to, lines, func(users int64) { p.Of(all, users) }); err != nil {
			return fmt.Errorf("the export is not complete: %w", err)
		}
		return nil
	}
	if c.File == "" {
		return export(w.stdout)
	}
	return backup.WriteFile(c.File, func(file io.Writer) error {
		out := bufio.NewWriter(file)
		if err := export(out); err != nil {
			return err
		}
		return out.Flush()
	})
}

// wantNew refuses a file that exists: whoever writes another one there means to keep both, or removes the first.
func wantNew(file string) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s exists already", file)
	}
	return nil
}

// writeLines copies lines, and calls each with the number of those that are copied.
func writeLines(to io.Writer, lines io.Reader, each func(lines int64)) error {
	from, n := bufio.NewReader(lines), int64(0)
	for {
		part, err := from.ReadSlice('\n')
		if _, err := to.Write(part); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			n++
			each(n)
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
