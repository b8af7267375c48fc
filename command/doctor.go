package command

import (
	"context"
	"fmt"

	"wxgate/config"
	"wxgate/doctor"
)

type doctorCommand struct {
	output

	Domain string `placeholder:"DOMAIN" help:"The public domain that the mini-program calls, to check it, its TLS and the address of message push (api.example.com)."`
}

// Run checks everything that a login and a request depend on, and prints a line about each. The error says how many
// need attention.
func (d doctorCommand) Run(ctx context.Context, w *env) error {
	cfg, err := config.Load(w.config, w.lookup)
	if err != nil {
		return err
	}
	findings, failed, all := doctor.Examine(ctx, cfg, d.Domain), 0, []examined{}
	for _, f := range findings {
		each := examined{About: f.About, OK: f.Err == nil, Advice: f.Advice}
		if f.Err != nil {
			each.Error = f.Err.Error()
			failed++
		}
		all = append(all, each)
	}
	if err := d.printColored(w, all, func(t *table) {
		for i, f := range findings {
			verdict := "ok  " // as wide as the other
			if !all[i].OK {
				verdict = "FAIL"
			}
			t.row(verdict, f.About, f)
		}
	}); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s attention", counted(failed, "of the above needs", "of the above need"))
	}
	return nil
}

// examined is a finding of the doctor for a program.
type examined struct {
	About  string `json:"about"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Advice string `json:"advice"` // a remark when it is all right, what to do when it is not
}
