package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/storage"
)

// ImportLineLimit bounds a line of an import, in bytes, its end included.
const ImportLineLimit = 64 << 10

// The bounds of an import.
const (
	importBodyLimit    = 64 << 20
	importBatch        = 256         // users of one transaction
	maxImportErrors    = 10_000      // lines that are named, of each kind
	importBatchTimeout = time.Minute // for one batch to arrive and be written
	longestRest        = 10 * time.Millisecond
	maxSeen            = 100_000 // ids and openids that a dry run remembers
	firstUsers         = 10      // that a dry run shows
)

// ndjson is one JSON value per line.
const ndjson = "application/x-ndjson"

// transfer imports and exports users.
type transfer struct {
	responder

	authn      *authn.Authn
	processors *processors
}

// ImportReport is the outcome of an import.
type ImportReport struct {
	Imported int           `json:"imported"` // users who exist now, including those who existed before
	Failed   int           `json:"failed"`
	Errors   []importError `json:"errors"` // the first 10,000 of them
	Warned   int           `json:"warned"` // users imported without some of their fields
	Warnings []importError `json:"warnings"`

	First []storage.User `json:"first,omitempty"` // of a dry run: up to ten users, as they would be stored
}

// NewImportReport is that of an import without a line.
func NewImportReport() ImportReport {
	return ImportReport{Errors: []importError{}, Warnings: []importError{}}
}

// Add adds the report of more lines, as if one request had sent them all. place is where a line of next is from.
func (r *ImportReport) Add(next ImportReport, place func(line int) int) {
	r.Imported, r.Failed, r.Warned = r.Imported+next.Imported, r.Failed+next.Failed, r.Warned+next.Warned
	r.Errors, r.Warnings = appendLines(r.Errors, next.Errors, place), appendLines(r.Warnings, next.Warnings, place)
	r.First = append(r.First, next.First[:min(len(next.First), firstUsers-len(r.First))]...)
}

func appendLines(all, next []importError, place func(line int) int) []importError {
	for _, e := range next[:min(len(next), maxImportErrors-len(all))] {
		e.Line = place(e.Line)
		all = append(all, e)
	}
	return all
}

// importError is a line that was not imported, or not completely.
type importError struct {
	Line   int    `json:"line"`
	ID     int64  `json:"id,omitempty"`     // of the user, where the line has one
	Reason string `json:"reason,omitempty"` // of the error table
	Detail string `json:"detail"`
}

// importUsers answers POST /api/users: one user per line, in the format of an export. Lines that cannot be imported are
// reported and skipped; the others stay imported, and the same import can be sent again. With dry_run in the query
// nothing is written.
func (a transfer) importUsers(w http.ResponseWriter, r *http.Request) {
	if err := requireContentType(r, ndjson); err != nil {
		a.fail(w, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, importBodyLimit)
	i := &importer{transfer: a, ctx: r.Context(), began: time.Now(), control: http.NewResponseController(w), dry: r.URL.Query().Has("dry_run"), report: NewImportReport()}
	defer a.processors.enter()()
	err := i.run(r)
	slices.SortFunc(i.report.Errors, func(a, b importError) int { return a.Line - b.Line })
	event(a.log, r, "admin change", "request", r.Pattern, "imported", i.report.Imported, "failed", i.report.Failed)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.succeed(w, i.report)
}

// importer imports users in batches.
type importer struct {
	transfer

	ctx     context.Context // of the request
	control *http.ResponseController
	batch   []importLine
	began   time.Time   // when the batch was begun
	dry     bool        // nothing is written
	seen    map[any]any // of a dry run: the openids of ids, and the ids of openids, that would be imported
	report  ImportReport
}

func (i *importer) run(r *http.Request) error {
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, ImportLineLimit)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // the byte order mark of Windows
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := i.addLine(number, line); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%w: line %d is longer than %d bytes", answer.ErrBodyTooLarge, number+1, ImportLineLimit)
	}
	if lines.Err() != nil {
		return bodyError(lines.Err())
	}
	return i.flush()
}

// addLine adds a line to the batch.
func (i *importer) addLine(number int, line []byte) error {
	parsed, err := parseImportLine(number, line, i.now())
	if err != nil {
		i.recordFailure(parsed, err)
		return nil
	}
	if i.batch = append(i.batch, parsed); len(i.batch) < importBatch {
		return nil
	}
	return i.flush()
}

// flush writes the batch. An error that is not about a single line ends the import.
func (i *importer) flush() error {
	if len(i.batch) == 0 {
		return nil
	}
	deadline := time.Now().Add(importBatchTimeout)
	if err := errors.Join(i.control.SetReadDeadline(deadline), i.control.SetWriteDeadline(deadline)); err != nil {
		return fmt.Errorf("importing users: %w", err)
	}
	results, err := i.write()
	if err != nil {
		return fmt.Errorf("line %d to %d: %w", i.batch[0].number, i.batch[len(i.batch)-1].number, err)
	}
	for n, result := range results {
		if err := i.recordResult(i.batch[n], result); err != nil {
			return err
		}
	}
	i.batch = i.batch[:0]
	return i.rest()
}

// rest rests for as long as the batch took, so that requests of others find a processor: an import takes all of one.
// A batch that waited for a database costs this process nothing, hence longestRest.
func (i *importer) rest() error {
	timer := time.NewTimer(min(time.Since(i.began), longestRest))
	defer timer.Stop()
	select {
	case <-timer.C:
		i.began = time.Now()
		return nil
	case <-i.ctx.Done():
		return i.ctx.Err()
	}
}

// write imports the batch, or says in a dry run what would be refused.
func (i *importer) write() ([]storage.Imported, error) {
	users := make([]storage.User, len(i.batch))
	for n, line := range i.batch {
		users[n] = line.user
	}
	if i.dry {
		return i.authn.Users.CheckImport(i.ctx, users)
	}
	return i.authn.Users.Import(i.ctx, users)
}

// compare returns the conflict of a user with an earlier batch of a dry run, of which nothing is in the store.
func (i *importer) compare(user storage.User) error {
	openID := [2]string{user.AppID, user.OpenID}
	if id, known := i.seen[openID]; known && id != user.ID {
		return fmt.Errorf("%w: %d has this openid", storage.ErrConflict, id)
	}
	if other, known := i.seen[user.ID]; known && other != openID {
		return fmt.Errorf("%w, who has this id with another openid", storage.ErrConflict)
	}
	return nil
}

// remember keeps a user of a dry run for later lines.
func (i *importer) remember(user storage.User) {
	if i.seen == nil {
		i.seen = map[any]any{}
	}
	if len(i.seen) < maxSeen {
		openID := [2]string{user.AppID, user.OpenID}
		i.seen[openID], i.seen[user.ID] = user.ID, openID
	}
}

func (i *importer) recordResult(line importLine, result storage.Imported) error {
	err := result.Err
	if err == nil && i.dry {
		err = i.compare(result.User)
	}
	switch {
	case err == nil:
		i.report.Imported++
		i.recordWarning(line)
	case errors.Is(err, authn.ErrInvalidRequest), errors.Is(err, storage.ErrConflict):
		i.recordFailure(line, err)
	default:
		return fmt.Errorf("line %d: %w", line.number, err)
	}
	if err == nil && i.dry {
		i.remember(result.User)
		if len(i.report.First) < firstUsers {
			i.report.First = append(i.report.First, result.User)
		}
	}
	return nil
}

func (i *importer) recordFailure(line importLine, err error) {
	i.report.Failed++
	if len(i.report.Errors) < maxImportErrors {
		i.report.Errors = append(i.report.Errors, importError{line.number, line.user.ID, i.errors.Lookup(err).Reason, err.Error()})
	}
}

func (i *importer) recordWarning(line importLine) {
	if len(line.dropped) == 0 {
		return
	}
	i.report.Warned++
	if len(i.report.Warnings) < maxImportErrors {
		i.report.Warnings = append(i.report.Warnings, importError{Line: line.number, ID: line.user.ID, Detail: "taken without " + strings.Join(line.dropped, "; ")})
	}
}
