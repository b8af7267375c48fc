package command

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"wxgate/gateway/admin"
	"wxgate/storage"
)

// The formats of a file of users.
const (
	formatJSONL = "jsonl"
	formatCSV   = "csv"
)

// byteOrderMark begins a file in UTF-8 as Excel writes it; without one, Excel reads a file as GBK in China.
const byteOrderMark = "\ufeff"

// formatOf is the format that was asked for, or that of a file by its name.
func formatOf(asked, file string) string {
	switch {
	case asked != "":
		return asked
	case strings.EqualFold(filepath.Ext(file), ".csv"):
		return formatCSV
	}
	return formatJSONL
}

// csvUsers reads users from a file of comma-separated values (RFC 4180), whose first record names the columns.
type csvUsers struct {
	records *csv.Reader
	limit   *recordLimit
	names   []string // of the columns
	keys    []string // of an import, by column; "" is not imported
	zone    string   // of times that have none
	line    int      // of the file, on which the newest record begins
}

// newCSVUsers reads the header. columns are by key of an import; the others have the key's name. Columns that no key has
// are told to stderr.
func newCSVUsers(from io.Reader, columns map[string]string, zone string, stderr io.Writer) (*csvUsers, error) {
	if _, err := time.Parse("Z07:00", zone); zone != "" && err != nil {
		return nil, fmt.Errorf("--time-zone: %q is not such as +08:00", zone)
	}
	limit := &recordLimit{from: from}
	limit.renew()
	text := bufio.NewReader(limit)
	start, _ := text.Peek(4) // or as much as there is
	if isUTF16(start) {
		return nil, errUTF16
	}
	if bytes.HasPrefix(start, []byte(byteOrderMark)) {
		_, _ = text.Discard(len(byteOrderMark))
	}
	c := &csvUsers{records: csv.NewReader(text), limit: limit, zone: zone}
	c.records.ReuseRecord = true
	header, err := c.read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; its first line names the columns: id,openid,nickname")
	}
	if err != nil {
		return nil, err
	}
	c.names = slices.Clone(header)
	return c, c.choose(header, columns, stderr)
}

// choose decides which columns are imported.
func (c *csvUsers) choose(header []string, columns map[string]string, stderr io.Writer) error {
	keys, at, err := chooseColumns(fmt.Sprintf("line %d, which names the columns,", c.line), columns, header)
	if err != nil {
		return err
	}
	c.keys = make([]string, len(header))
	for n, key := range keys {
		c.keys[at[n]] = key
	}
	var others []string
	for n, key := range c.keys {
		if key == "" && !isOwnDecision(header[n]) {
			others = append(others, strconv.Quote(header[n]))
		}
	}
	if len(others) > 0 {
		_, _ = fmt.Fprintf(stderr, "wxgate: not imported: the %s %s; --map KEY=COLUMN names a column that is called otherwise\n",
			plural(len(others), "column", "columns"), strings.Join(others[:min(len(others), 20)], ", "))
	}
	return nil
}

// isOwnDecision reports whether an export has a column that an import decides itself.
func isOwnDecision(column string) bool {
	return strings.EqualFold(column, "updated_at") || strings.EqualFold(column, "native")
}

// read returns the cells of the next record.
func (c *csvUsers) read() ([]string, error) {
	c.limit.renew()
	record, err := c.records.Read()
	if err != nil {
		return nil, c.explain(err, len(record))
	}
	c.line, _ = c.records.FieldPos(0)
	for n, cell := range record {
		if utf8.ValidString(cell) {
			continue
		}
		line, _ := c.records.FieldPos(n)
		return nil, fmt.Errorf("line %d, %s: the text is not in UTF-8. A CSV that Excel saved in China is in GBK: save it as "+
			"\"CSV UTF-8 (逗号分隔)\", or run iconv -f GB18030 -t UTF-8 users.csv > users-utf8.csv", line, c.column(n))
	}
	return record, nil
}

// explain says what is wrong with a record, and where.
func (c *csvUsers) explain(err error, cells int) error {
	parse, isParse := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, errRecordTooLong):
		return fmt.Errorf("the record behind line %d is longer than %d bytes; is there a quote (\") that does not end?", c.line, admin.ImportLineLimit)
	case !isParse:
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("line %d: %s, and the first line names %d; a text with a comma needs quotes (\") around it", parse.StartLine,
			counted(cells, "value", "values"), c.records.FieldsPerRecord)
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf("line %d, %s: a quote in a text is written twice (\"\"), and the text has quotes around it", parse.Line, c.column(cells))
	}
	return fmt.Errorf("line %d, %s: a text in quotes does not end properly; a quote in it is written twice (\"\")", parse.Line, c.column(cells))
}

// column names the column of the cell n, which counts from 0, as a spreadsheet shows it.
func (c *csvUsers) column(n int) string {
	if n < len(c.names) {
		return fmt.Sprintf("column %d (%s)", n+1, c.names[n])
	}
	return fmt.Sprintf("column %d", n+1)
}

// errUTF16 is a file of users in the encoding that Excel calls Unicode.
var errUTF16 = errors.New("the file is in UTF-16, which Excel calls Unicode Text and PowerShell writes: save it as \"CSV UTF-8 (逗号分隔)\", or run " +
	"iconv -f UTF-16 -t UTF-8 FILE > FILE-utf8")

// isUTF16 reports whether a file that begins so is in UTF-16: by its byte order mark, or by the zeros between the letters.
func isUTF16(start []byte) bool {
	return bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) || bytes.IndexByte(start, 0) >= 0
}

// importInto imports every record as a line of JSON, with all values as texts; empty ones are left out.
func (c *csvUsers) importInto(ctx context.Context, i *usersImport) error {
	for {
		record, err := c.read()
		if errors.Is(err, io.EOF) {
			return i.send(ctx)
		}
		if err != nil {
			return cmp.Or(i.send(ctx), err)
		}
		user := make(map[string]string, len(record))
		for n, cell := range record {
			if key := c.keys[n]; key != "" && cell != "" && cell != "NULL" && cell != `\N` { // as databases write what is not there
				user[key] = plainCell(cell)
			}
		}
		if at, timed := user["created_at"]; timed && c.zone != "" {
			user["created_at"] = inZone(at, "", c.zone)
		}
		text, err := json.Marshal(user)
		if err == nil {
			err = i.add(ctx, text, c.line)
		}
		if err != nil {
			return err
		}
	}
}

// recordLimit bounds how much is read for one record: a quote that does not end takes no memory.
type recordLimit struct {
	from io.Reader
	left int
}

var errRecordTooLong = errors.New("a record is too long")

// renew allows one more record, beside what a reader reads ahead.
func (l *recordLimit) renew() { l.left = admin.ImportLineLimit + 8<<10 }

// Read reads what is allowed.
func (l *recordLimit) Read(into []byte) (int, error) {
	if l.left == 0 {
		return 0, errRecordTooLong
	}
	n, err := l.from.Read(into[:min(len(into), l.left)])
	l.left -= n
	return n, err
}

// dangerous is a cell that a spreadsheet would take for a formula, or a database for nothing, with any number of
// apostrophes in front.
var dangerous = regexp.MustCompile("^'*(?:[=+\\-@\t\r＝＋－＠]|NULL$|\\\\N$)")

// safeCell puts an apostrophe in front of what users may have written for a spreadsheet to execute, =HYPERLINK(…) say;
// plainCell takes it away.
func safeCell(text string) string {
	if dangerous.MatchString(text) {
		return "'" + text
	}
	return text
}

func plainCell(cell string) string {
	if strings.HasPrefix(cell, "'") && dangerous.MatchString(cell) {
		return cell[1:]
	}
	return cell
}

// writeCSV writes an export, one JSON object per line, as comma-separated values for Excel, and calls each with the number
// of users that are written.
func writeCSV(to io.Writer, lines io.Reader, each func(users int64)) error {
	if _, err := io.WriteString(to, byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(to)
	out.UseCRLF = true
	if err := out.Write(append(importKeys(), "updated_at", "native")); err != nil {
		return err
	}
	users := json.NewDecoder(lines)
	for n := int64(1); ; n++ {
		var u storage.User
		if err := users.Decode(&u); errors.Is(err, io.EOF) {
			out.Flush()
			return out.Error()
		} else if err != nil {
			return err
		}
		if err := out.Write(cellsOf(u)); err != nil {
			return err
		}
		each(n)
	}
}

// cellsOf are the values of a user in the order of importKeys, and what an import decides itself.
func cellsOf(u storage.User) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		number(u.ID), safeCell(u.OpenID), safeCell(u.AppID), safeCell(u.UnionID), safeCell(u.Nickname), safeCell(u.Avatar), safeCell(u.Bio),
		number(u.RecipeCount), number(u.FollowerCount), number(u.FollowingCount), number(u.FavoriteCount),
		u.CreatedAt.Format(time.RFC3339Nano), u.UpdatedAt.Format(time.RFC3339Nano), strconv.FormatBool(u.Native),
	}
}

// looksLikeCSV reports whether the first line of a file names columns.
func looksLikeCSV(first []byte) bool {
	return utf8.Valid(first) && bytes.Contains(bytes.ToLower(first), []byte("openid")) && bytes.ContainsRune(first, ',') && first[0] != '{' && first[0] != '['
}
