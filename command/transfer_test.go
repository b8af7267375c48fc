package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxgate/gateway/admin"
)

// importer is the admin API of a gateway that counts the lines of imports, refuses those that say so, and breaks off at a
// request.
type importer struct {
	breakAt  int // the request that is not answered; 0: none
	requests int
	most     int // bytes of a request
	text     strings.Builder
}

func (i *importer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if i.requests++; i.requests == i.breakAt {
		panic(http.ErrAbortHandler)
	}
	i.most = max(i.most, len(body))
	i.text.Write(body)
	lines, bad := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n"), []string{}
	for n, line := range lines {
		if strings.Contains(line, "bad") {
			bad = append(bad, fmt.Sprintf(`{"line":%d,"reason":"conflict","detail":"d"}`, n+1))
		}
	}
	_, _ = fmt.Fprintf(w, `{"data":{"imported":%d,"failed":%d,"errors":[%s],"warned":0,"warnings":[]}}`, len(lines)-len(bad), len(bad), strings.Join(bad[:min(len(bad), 100)], ","))
}

// importInto imports text and returns what the command prints.
func importInto(t *testing.T, gateway *importer, text string) (string, error) {
	t.Helper()
	server := httptest.NewServer(gateway)
	t.Cleanup(server.Close)
	var stdout bytes.Buffer
	w := &env{stdin: strings.NewReader(text), stdout: &stdout, stderr: io.Discard}
	err := usersImportCommand{File: "-"}.Run(t.Context(), w, &adminClient{address: server.Listener.Addr().String(), stderr: io.Discard})
	return stdout.String(), err
}

// userLines are n lines of about 100 bytes; those in bad are bad.
func userLines(n int, bad ...int) string {
	var text strings.Builder
	for line := 1; line <= n; line++ {
		fmt.Fprintf(&text, `{"id":%d,"nickname":"%s"}`+"\n", line, strings.Repeat("x", 80))
	}
	all := text.String()
	for _, line := range bad {
		all = strings.Replace(all, fmt.Sprintf(`{"id":%d,"nickname":"xxx`, line), fmt.Sprintf(`{"id":%d,"nickname":"bad`, line), 1)
	}
	return all
}

func TestALargeImportIsSentInPieces(t *testing.T) {
	t.Parallel()
	gateway, text := new(importer), userLines(50_000, 7, 30_000, 50_000)
	printed, err := importInto(t, gateway, text)
	if err == nil || err.Error() != "3 lines were not imported" {
		t.Errorf("got %v, want 3 lines not imported", err)
	}
	for _, part := range []string{"imported 49997, failed 3\n", "line 7 ", "line 30000 ", "line 50000 "} {
		if !strings.Contains(printed, part) {
			t.Errorf("printed is %q, want %q", printed, part)
		}
	}
	if gateway.text.String() != text {
		t.Error("the pieces together are not the file")
	}
	if gateway.requests < 5 || gateway.most > importPiece {
		t.Errorf("%d requests of up to %d bytes, want several of up to %d", gateway.requests, gateway.most, importPiece)
	}
}

func TestAnImportThatBreaksOffNamesTheLine(t *testing.T) {
	t.Parallel()
	gateway := &importer{breakAt: 3}
	printed, err := importInto(t, gateway, userLines(50_000, 7))
	done := strings.Count(gateway.text.String(), "\n")
	if want := fmt.Sprintf("line %d and those behind it are not imported", done+1); err == nil || !strings.Contains(err.Error(), want) || done == 0 {
		t.Errorf("got %v, want %q", err, want)
	}
	if want := fmt.Sprintf("imported %d, failed 1\nline 7 ", done-1); !strings.HasPrefix(printed, want) {
		t.Errorf("printed is %q, want %q", printed, want)
	}
	if _, err := importInto(t, &importer{breakAt: 1}, userLines(3)); err == nil || strings.Contains(err.Error(), "line ") {
		t.Errorf("the first piece: got %v, want an error alone", err)
	}
}

func TestALineThatIsTooLongEndsAnImport(t *testing.T) {
	t.Parallel()
	gateway := new(importer)
	printed, err := importInto(t, gateway, userLines(3)+strings.Repeat("x", admin.ImportLineLimit)+"\n"+userLines(1))
	if want := "line 4 is longer than 65536 bytes"; err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(printed, "imported 3,") {
		t.Errorf("got %q and %v, want 3 lines and %q", printed, err, want)
	}
	if gateway.text.String() != userLines(3) {
		t.Errorf("sent is %q, want three lines", gateway.text.String())
	}
	printed, err = importInto(t, new(importer), "")
	if err != nil || !strings.HasPrefix(printed, "imported ") {
		t.Errorf("an empty file: got %q and %v", printed, err)
	}
}

func TestAnImportOfWhatCannotBeReadSaysSo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(new(importer))
	t.Cleanup(server.Close)
	broken := io.MultiReader(strings.NewReader(userLines(3)), failing{})
	w := &env{stdin: broken, stdout: io.Discard, stderr: io.Discard}
	err := usersImportCommand{File: "-"}.Run(t.Context(), w, &adminClient{address: server.Listener.Addr().String(), stderr: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "the disk is gone") || !strings.Contains(err.Error(), "line 4 ") {
		t.Errorf("got %v, want the fault and line 4", err)
	}
}

// TestAFileThatHasNoLinesOfJSONIsRefusedAtOnce has what Navicat, phpMyAdmin and mysql write: nothing of it is sent.
func TestAFileThatHasNoLinesOfJSONIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[{"id":301,"openid":"oA1"},` + "\n" + `{"id":302,"openid":"oA2"}]`: "this is a JSON array;",
		"\ufeff\n [\n" + `{"id":301,"openid":"oA1"}` + "\n]\n":              "this is a JSON array;",
		`{"RECORDS":[{"id":301,"openid":"oA1"}]}`:                           "this is one JSON document;",
		"{\n" + `"RECORDS":[` + "\n" + `{"id":301,"openid":"oA1"}` + "\n]}": "this is one JSON document;",
		"id,openid\n" + strings.Repeat("301,oA1\n", 3000):                   "this is CSV; give the file a name that ends in .csv, or add --format csv",
		"\xff\xfe{\x00\"\x00": "the file is in UTF-16",
		"\xfe\xff\x00{\x00\"": "the file is in UTF-16",
		"{\x00\"\x00":         "the file is in UTF-16",
		"\xd3\xc3":            "this is no text in UTF-8, or none of JSON;",
	} {
		gateway := new(importer)
		printed, err := importInto(t, gateway, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: got %v, want %q and what to do", text, err, want)
		}
		if gateway.requests != 0 || printed != "" {
			t.Errorf("%.40q: %d requests and %q, want none", text, gateway.requests, printed)
		}
	}
	gateway := new(importer)
	text := "\ufeff\n" + `{"tags":{"a":[1]},"id":301,"openid":"oA1"}` + "\n[\n"
	if printed, err := importInto(t, gateway, text); err != nil || gateway.text.String() != text {
		t.Errorf("lines, one of them broken: got %v, %q and %q", err, printed, gateway.text.String())
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// TestAnInterruptedImportSaysHowFarItCame ends the command, as Ctrl-C does, before its second piece.
func TestAnInterruptedImportSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{50_000, 3} {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		gateway := new(importer)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if gateway.requests == 1 || lines == 3 {
				stop()
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done() // an answer could come first, and nothing was interrupted
				return
			}
			gateway.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		var out strings.Builder
		w := &env{stdin: strings.NewReader(userLines(lines)), stdout: &out, stderr: io.Discard}
		err := usersImportCommand{File: "-"}.Run(ctx, w, &adminClient{address: server.Listener.Addr().String(), stderr: io.Discard})
		wants := []string{"interrupted", "import the file again, the users who are there already stay as they are"}
		if lines > 3 {
			wants = append(wants, "and those behind it are not imported, or only some of them: interrupted;")
		}
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "context canceled") {
				t.Errorf("%d lines: got %v, want %q", lines, err, want)
			}
		}
		if has := strings.HasPrefix(out.String(), "imported "); has != (lines > 3) {
			t.Errorf("%d lines: printed is %q", lines, out.String())
		}
	}
}
