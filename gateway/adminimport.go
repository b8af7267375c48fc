package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"wxgate/authn"
	"wxgate/storage"
)

// The bounds of an import.
const (
	importBodyLimit  = 64 << 20
	importLineLimit  = 64 << 10
	importBatch      = 256 // users that are written at once, so that they share commits
	importErrorsTold = 100
	importIdle       = time.Minute // for a batch to arrive and be written
)

// ndjson is one JSON value a line.
const ndjson = "application/x-ndjson"

// importReport is what became of the lines of an import.
type importReport struct {
	Imported int           `json:"imported"` // users who are here now, those who were here before too
	Failed   int           `json:"failed"`
	Errors   []importError `json:"errors"` // the first ones
}

// importError is a line that was not taken.
type importError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"` // of the error table
	Detail string `json:"detail"`
}

// importUsers answers POST /api/users: one user a line, as the export writes them. Lines that cannot be taken are
// reported and passed over; what was taken before stays, and the same import can be sent again.
func (a *admin) importUsers(w http.ResponseWriter, r *http.Request) {
	if err := wantContentType(r, ndjson); err != nil {
		a.fail(w, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, importBodyLimit)
	i := &importer{admin: a, ctx: r.Context(), control: http.NewResponseController(w), report: importReport{Errors: []importError{}}}
	err := i.run(r)
	slices.SortFunc(i.report.Errors, func(a, b importError) int { return a.Line - b.Line })
	a.log.Info("admin change", "request", r.Pattern, "imported", i.report.Imported, "failed", i.report.Failed)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.succeed(w, i.report)
}

// importer takes users over in batches.
type importer struct {
	admin   *admin
	ctx     context.Context //nolint:containedctx // it lives for one request
	control *http.ResponseController
	batch   []importLine
	taken   map[any]bool // ids and openids of the batch
	report  importReport
}

type importLine struct {
	number int
	user   storage.User
}

func (i *importer) run(r *http.Request) error {
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, importLineLimit)
	number := 0
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := i.add(number, lines.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%w: line %d is longer than %d bytes", errBodyTooLarge, number+1, importLineLimit)
	}
	if lines.Err() != nil {
		return ofBody(lines.Err())
	}
	return i.flush()
}

// add puts a line into the batch. Two lines that claim the same id or openid never share one: the first must win.
func (i *importer) add(number int, line []byte) error {
	user, err := parseImport(line)
	if err != nil {
		i.refuse(number, err)
		return nil
	}
	openid := [2]string{user.AppID, user.OpenID}
	if len(i.batch) == importBatch || i.taken[user.ID] || i.taken[openid] {
		if err := i.flush(); err != nil {
			return err
		}
	}
	if i.taken == nil {
		i.taken = make(map[any]bool, 2*importBatch)
	}
	i.taken[user.ID], i.taken[openid] = true, true
	i.batch = append(i.batch, importLine{number, user})
	return nil
}

// parseImport reads one line. Unknown keys are refused: a nickName that is passed over is a nickname that is lost.
func parseImport(line []byte) (u storage.User, err error) {
	if !utf8.Valid(line) {
		return u, fmt.Errorf("%w: the line is not UTF-8", errInvalidRequest)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&u); err != nil {
		return u, fmt.Errorf("%w: %w", errInvalidRequest, err)
	}
	if dec.More() {
		return u, fmt.Errorf("%w: there is more than one JSON value in the line", errInvalidRequest)
	}
	for _, counter := range []int64{u.RecipeCount, u.FollowerCount, u.FollowingCount, u.FavoriteCount} {
		if counter < 0 || counter >= 1<<53 {
			return u, fmt.Errorf("%w: a counter is not between 0 and 2^53-1", errInvalidRequest)
		}
	}
	return u, nil
}

// flush writes the batch. An error that is not about one line ends the import.
func (i *importer) flush() error {
	deadline := time.Now().Add(importIdle)
	if err := errors.Join(i.control.SetReadDeadline(deadline), i.control.SetWriteDeadline(deadline)); err != nil {
		return fmt.Errorf("importing users: %w", err)
	}
	results := make([]error, len(i.batch))
	var writing sync.WaitGroup
	for n, line := range i.batch {
		writing.Go(func() { _, results[n] = i.admin.authn.Import(i.ctx, line.user) })
	}
	writing.Wait()
	for n, err := range results {
		if err := i.count(i.batch[n].number, err); err != nil {
			return err
		}
	}
	i.batch = i.batch[:0]
	clear(i.taken)
	return nil
}

func (i *importer) count(number int, err error) error {
	switch {
	case err == nil:
		i.report.Imported++
	case errors.Is(err, authn.ErrInvalidRequest), errors.Is(err, storage.ErrConflict):
		i.refuse(number, err)
	default:
		return fmt.Errorf("line %d: %w", number, err)
	}
	return nil
}

func (i *importer) refuse(number int, err error) {
	i.report.Failed++
	if len(i.report.Errors) < importErrorsTold {
		i.report.Errors = append(i.report.Errors, importError{number, i.admin.gateway.failureOf(err).reason, err.Error()})
	}
}
