package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/storage"
)

// ImportLineLimit bounds a line of an import, in bytes, its end included.
const ImportLineLimit = 64 << 10

// The bounds of an import.
const (
	importBodyLimit    = 64 << 20
	importBatch        = 256 // users written concurrently, so that they share commits
	maxImportErrors    = 100
	importBatchTimeout = time.Minute // for one batch to arrive and be written
)

// ndjson is one JSON value per line.
const ndjson = "application/x-ndjson"

// transfer imports and exports users.
type transfer struct {
	responder

	authn *authn.Authn
}

// ImportReport is the outcome of an import.
type ImportReport struct {
	Imported int           `json:"imported"` // users who exist now, including those who existed before
	Failed   int           `json:"failed"`
	Errors   []importError `json:"errors"` // the first of them
	Warned   int           `json:"warned"` // users imported without some of their fields
	Warnings []importError `json:"warnings"`
}

// Add adds the report of lines that follow the first lines of an import, as if one request had sent them all.
func (r *ImportReport) Add(next ImportReport, lines int) {
	r.Imported, r.Failed, r.Warned = r.Imported+next.Imported, r.Failed+next.Failed, r.Warned+next.Warned
	r.Errors, r.Warnings = appendLines(r.Errors, next.Errors, lines), appendLines(r.Warnings, next.Warnings, lines)
}

func appendLines(all, next []importError, lines int) []importError {
	for _, e := range next[:min(len(next), maxImportErrors-len(all))] {
		e.Line += lines
		all = append(all, e)
	}
	return all
}

// importError is a line that was not imported, or not completely.
type importError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason,omitempty"` // of the error table
	Detail string `json:"detail"`
}

// importUsers answers POST /api/users: one user per line, in the format of an export. Lines that cannot be imported are
// reported and skipped; the others stay imported, and the same import can be sent again.
func (a transfer) importUsers(w http.ResponseWriter, r *http.Request) {
	if err := requireContentType(r, ndjson); err != nil {
		a.fail(w, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, importBodyLimit)
	i := &importer{transfer: a, ctx: r.Context(), control: http.NewResponseController(w), report: ImportReport{Errors: []importError{}, Warnings: []importError{}}}
	err := i.run(r)
	slices.SortFunc(i.report.Errors, func(a, b importError) int { return a.Line - b.Line })
	a.log.Info("admin change", "request", r.Pattern, "imported", i.report.Imported, "failed", i.report.Failed)
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
	claimed map[any]bool // IDs and openids of the batch
	report  ImportReport
}

type importLine struct {
	number  int
	user    storage.User
	dropped []string // fields that are left out
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

// addLine adds a line to the batch. Two lines that claim the same ID or openid never share one: the first must win.
func (i *importer) addLine(number int, line []byte) error {
	user, dropped, err := parseImport(line)
	if err != nil {
		i.recordFailure(number, err)
		return nil
	}
	openid := [2]string{user.AppID, user.OpenID}
	if len(i.batch) == importBatch || i.claimed[user.ID] || i.claimed[openid] {
		if err := i.flush(); err != nil {
			return err
		}
	}
	if i.claimed == nil {
		i.claimed = make(map[any]bool, 2*importBatch)
	}
	i.claimed[user.ID], i.claimed[openid] = true, true
	i.batch = append(i.batch, importLine{number, user, dropped})
	return nil
}

// importBody is a line as it is parsed. Times are parsed separately: an invalid one is no reason to lose a user.
type importBody struct {
	storage.User

	CreatedAt json.RawMessage `json:"created_at"`
	UpdatedAt json.RawMessage `json:"updated_at"` // becomes the time of the import
}

// parseImport parses one line, and reports which fields are left out. Unknown keys are refused: an ignored nickName is
// a lost nickname.
func parseImport(line []byte) (u storage.User, dropped []string, err error) {
	if !utf8.Valid(line) {
		return u, nil, fmt.Errorf("%w: the line is not UTF-8", answer.ErrInvalidRequest)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var body importBody
	if err := dec.Decode(&body); err != nil {
		return u, nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, describeDecodeError(err))
	}
	if dec.More() {
		return u, nil, fmt.Errorf("%w: there is more than one JSON value in the line", answer.ErrInvalidRequest)
	}
	u, dropped = authn.Presentable(body.User)
	if len(body.CreatedAt) > 0 && string(body.CreatedAt) != "null" {
		if u.CreatedAt, err = parseText(body.CreatedAt, input.Time); err != nil {
			dropped = append(dropped, "created_at: "+err.Error())
		}
	}
	return u, dropped, nil
}

// describeDecodeError describes an error of Go's decoder in terms of JSON.
func describeDecodeError(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wanted := "a whole number"
		if wrong.Type.Kind() == reflect.String {
			wanted = "a text"
		}
		return fmt.Errorf("%s is a %s and must be %s", wrong.Field, wrong.Value, wanted)
	}
	return err
}

// flush writes the batch. An error that is not about a single line ends the import.
func (i *importer) flush() error {
	deadline := time.Now().Add(importBatchTimeout)
	if err := errors.Join(i.control.SetReadDeadline(deadline), i.control.SetWriteDeadline(deadline)); err != nil {
		return fmt.Errorf("importing users: %w", err)
	}
	results := make([]error, len(i.batch))
	var writing sync.WaitGroup
	for n, line := range i.batch {
		writing.Go(func() { _, results[n] = i.authn.Users.Import(i.ctx, line.user) })
	}
	writing.Wait()
	for n, err := range results {
		if err := i.recordResult(i.batch[n], err); err != nil {
			return err
		}
	}
	i.batch = i.batch[:0]
	clear(i.claimed)
	return nil
}

func (i *importer) recordResult(line importLine, err error) error {
	switch {
	case err == nil:
		i.report.Imported++
		i.recordWarning(line)
	case errors.Is(err, authn.ErrInvalidRequest), errors.Is(err, storage.ErrConflict):
		i.recordFailure(line.number, err)
	default:
		return fmt.Errorf("line %d: %w", line.number, err)
	}
	return nil
}

func (i *importer) recordFailure(number int, err error) {
	i.report.Failed++
	if len(i.report.Errors) < maxImportErrors {
		i.report.Errors = append(i.report.Errors, importError{number, i.errors.Lookup(err).Reason, err.Error()})
	}
}

func (i *importer) recordWarning(line importLine) {
	if len(line.dropped) == 0 {
		return
	}
	i.report.Warned++
	if len(i.report.Warnings) < maxImportErrors {
		i.report.Warnings = append(i.report.Warnings, importError{Line: line.number, Detail: "taken without " + strings.Join(line.dropped, "; ")})
	}
}
