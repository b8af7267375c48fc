package command

import (
	"context"
	"fmt"
	"net/http"

	"wxgate/storage"
)

type storeCommand struct {
	Copy   storeCopyCommand   `cmd:"" help:"Copy everything into another store, a folder or a database; tokens keep working."`
	Reseal storeResealCommand `cmd:"" help:"Seal every secret with the first of storage.encryption_key, so that the others can be removed."`
}

type storeResealCommand struct {
	output
	quiet
}

// Run seals every secret anew, page by page. It returns an error if one cannot be opened with any key.
func (c storeResealCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	var far storage.Resealed
	p := newProgress(w.stderr, "secrets", c.Quiet || c.JSON)
	defer p.end()
	client.stderr = p
	for !far.Done {
		if err := client.ask(ctx, http.MethodPost, "/api/store/reseal", nil, &far); err != nil {
			return fmt.Errorf("after %s; run it again: %w", counted(far.Seen, "secret", "secrets"), err)
		}
		p.at(int64(far.Seen), 0)
	}
	p.end()
	err := c.print(w.stdout, far, func(t *table) {
		line := fmt.Sprintf("%s, %d sealed anew", counted(far.Seen, "secret", "secrets"), far.Sealed)
		if far.Unreadable == 0 {
			line += ": only the first key of storage.encryption_key is needed from now on"
		}
		t.row(line)
	})
	if err == nil && far.Unreadable > 0 {
		err = fmt.Errorf("no key opens %s, which stayed as they are", counted(far.Unreadable, "secret", "secrets"))
	}
	return err
}
