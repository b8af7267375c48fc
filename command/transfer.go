package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"wxgate/gateway/admin"
)

// ndjson is the content type of imports and exports: one JSON value per line.
const ndjson = "application/x-ndjson"

type usersImportCommand struct {
	output

	File string `arg:"" help:"One user per line: {\"id\":7,\"openid\":\"o…\",\"nickname\":\"…\"}; - reads standard input."`
}

// Run imports users. It returns an error if a line was not imported.
func (c usersImportCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	lines, err := openInput(c.File, w.stdin)
	if err != nil {
		return err
	}
	defer lines.Close()
	client.timeout = 0 // the answer comes once the last line is in the store
	answer, err := client.send(ctx, http.MethodPost, "/api/users", ndjson, lines)
	if err != nil {
		return err
	}
	defer answer.Close()
	var report admin.ImportReport
	if err := client.decode(answer, &report); err != nil {
		return err
	}
	return c.report(w.stdout, report)
}

func (c usersImportCommand) report(w io.Writer, report admin.ImportReport) error {
	err := c.print(w, report, func(t *table) {
		t.row(fmt.Sprintf("imported %d, failed %d", report.Imported, report.Failed))
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
