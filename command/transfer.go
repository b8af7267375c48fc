package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"wxgate/gateway/admin"
)

// ndjson is the content type of imports and exports: one JSON value per line.
const ndjson = "application/x-ndjson"

const (
	importPiece    = 1 << 20         // bytes of lines that are sent at once; all of them are in the store when the answer comes
	importProgress = 2 * time.Second // between two lines that tell how far an import is
)

type usersImportCommand struct {
	output

	File   string `arg:"" optional:"" help:"One user per line: {\"id\":7,\"openid\":\"o…\",\"nickname\":\"…\"}; - reads standard input."`
	NextID userID `name:"next-id" placeholder:"N" help:"New users get this id or a higher one, so that another login of the backend can go on giving lower ones. Without FILE that is all that is done."`
}

// Validate asks for something to do.
func (c usersImportCommand) Validate() error {
	if c.File == "" && c.NextID == 0 {
		return errors.New("name a file of users, or - for standard input")
	}
	return nil
}

// importResult is what an import prints.
type importResult struct {
	admin.ImportReport

	NextID int64 `json:"next_id,omitempty"` // of new users, where it was asked for
}

// Run reserves ids and imports users. It returns an error if a line was not imported.
func (c usersImportCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	var next admin.NextID
	if c.NextID != 0 { // first: an import that breaks off leaves no id that two people could get
		if err := client.ask(ctx, http.MethodPost, "/api/users/next-id", admin.NextID{NextID: int64(c.NextID)}, &next); err != nil {
			return err
		}
	}
	if c.File == "" {
		return c.print(w.stdout, next, func(t *table) { printNextID(t, next.NextID) })
	}
	lines, err := openInput(c.File, w.stdin)
	if err != nil {
		return err
	}
	defer lines.Close()
	client.timeout = 0 // the answer comes once the last line is in the store
	i := &usersImport{client: client, stderr: w.stderr, told: time.Now()}
	if err := i.run(ctx, lines); err != nil {
		if i.lines == 0 {
			return err
		}
		return errors.Join(c.report(w.stdout, importResult{i.report, next.NextID}), fmt.Errorf("line %d and those behind it are not imported, or only some of them: %w; "+
			"import the file again, the users who are there already stay as they are", i.lines+1, err))
	}
	return c.report(w.stdout, importResult{i.report, next.NextID})
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
	report admin.ImportReport
}

func (i *usersImport) run(ctx context.Context, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, admin.ImportLineLimit)
	for lines.Scan() {
		if i.piece.Len() > 0 && i.piece.Len()+len(lines.Bytes()) >= importPiece {
			if err := i.send(ctx); err != nil {
				return err
			}
			i.tell()
		}
		i.piece.Write(lines.Bytes())
		i.piece.WriteByte('\n')
		i.held++
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

// send imports the piece.
func (i *usersImport) send(ctx context.Context) error {
	answer, err := i.client.send(ctx, http.MethodPost, "/api/users", ndjson, bytes.NewReader(i.piece.Bytes()))
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

func (c usersImportCommand) report(w io.Writer, report importResult) error {
	err := c.print(w, report, func(t *table) {
		t.row(fmt.Sprintf("imported %d, failed %d", report.Imported, report.Failed))
		printNextID(t, report.NextID)
		for _, e := range report.Errors {
			t.row(fmt.Sprintf("line %d", e.Line), e.Reason, e.Detail)
		}
		for _, e := range report.Warnings {
			t.row(fmt.Sprintf("line %d", e.Line), "warning", e.Detail)
		}
	})
	if err == nil && report.Failed > 0 {
		err = fmt.Errorf("%s not imported", counted(report.Failed, "line was", "lines were"))
	}
	return err
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
