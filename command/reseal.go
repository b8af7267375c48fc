package command

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"wxgate/storage"
)

type storeCommand struct {
	Reseal storeResealCommand `cmd:"" help:"Seal every secret with the first of storage.encryption_key, so that the others can be removed."`
}

type storeResealCommand struct{ output }

// Run seals every secret anew, page by page. It returns an error if one cannot be opened with any key.
func (c storeResealCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	var far storage.Resealed
	for told := time.Now(); !far.Done; {
		if err := client.ask(ctx, http.MethodPost, "/api/store/reseal", nil, &far); err != nil {
			return fmt.Errorf("after %s; run it again: %w", counted(far.Seen, "secret", "secrets"), err)
		}
		if !far.Done && time.Since(told) >= importProgress {
			told = time.Now()
			_, _ = fmt.Fprintf(w.stderr, "wxgate: %d secrets are looked at, %d sealed anew\n", far.Seen, far.Sealed)
		}
	}
	err := c.print(w.stdout, far, func(t *table) {
		t.row(fmt.Sprintf("%s, %d sealed anew: only the first key of storage.encryption_key is needed from now on",
			counted(far.Seen, "secret", "secrets"), far.Sealed))
	})
	if err == nil && far.Unreadable > 0 {
		err = fmt.Errorf("no key opens %s, which stayed as they are", counted(far.Unreadable, "secret", "secrets"))
	}
	return err
}
