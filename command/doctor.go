package command

import (
	"context"
	"fmt"
	"unicode/utf8"

	"wxgate/config"
	"wxgate/doctor"
)

type doctorCommand struct {
	Domain string `placeholder:"DOMAIN" help:"The public domain that the mini-program calls, to check it, its TLS and the address of message push (api.example.com)."`
}

// Run checks everything that a login and a request depend on, and prints a line about each. The error says how many
// need attention.
func (d doctorCommand) Run(ctx context.Context, w *env) error {
	cfg, err := config.Load(w.config, w.lookup)
	if err != nil {
		return err
	}
	findings := doctor.Examine(ctx, cfg, d.Domain)
	failed, width := 0, 0
	for _, f := range findings {
		width = max(width, utf8.RuneCountInString(f.About))
	}
	for _, f := range findings {
		verdict := "ok  "
		if f.Err != nil {
			verdict = "FAIL"
			failed++
		}
		if _, err := fmt.Fprintf(w.stdout, "%s  %-*s  %s\n", verdict, width, f.About, f); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s attention", counted(failed, "of the above needs", "of the above need"))
	}
	return nil
}
