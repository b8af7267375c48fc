package command

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"wxgate/authn"
	"wxgate/gateway/admin"
)

const (
	resyncPage    = 200              // users of one request
	resyncTimeout = 30 * time.Second // for its answer
	maxRefused    = 100              // users who are named
)

type usersResyncCommand struct {
	output
	quiet

	After int64 `placeholder:"ID" help:"Start after this id."`
}

// resyncResult is what a resync prints.
type resyncResult struct {
	Told    int     `json:"told"`
	Refused int     `json:"refused"`
	Users   []int64 `json:"refused_users"` // the first of them
}

// Run tells the service about everybody, page by page. It returns an error if it refused somebody or stopped answering.
func (c usersResyncCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	client.timeout = resyncTimeout
	result, p := resyncResult{Users: []int64{}}, newProgress(w.stderr, "users", c.Quiet || c.JSON)
	defer p.end()
	client.stderr = p
	for after := &c.After; after != nil; {
		var page authn.ToldAgain
		ask := admin.ResyncPage{After: *after, Limit: resyncPage}
		if err := client.ask(ctx, http.MethodPost, "/api/users/resync", ask, &page); err != nil {
			return fmt.Errorf("%s told about; continue with --after %d: %w", counted(result.Told, "user was", "users were"), *after, err)
		}
		result.Told += page.Told
		result.Refused += len(page.Refused)
		result.Users = append(result.Users, page.Refused[:min(len(page.Refused), maxRefused-len(result.Users))]...)
		after = page.Next
		p.at(int64(result.Told), 0)
	}
	p.end()
	err := c.print(w.stdout, result, func(t *table) {
		t.row(fmt.Sprintf("told %d, refused %d", result.Told, result.Refused))
		for _, id := range result.Users {
			t.row(fmt.Sprintf("user %d", id), "refused; the service will be told again")
		}
	})
	if err == nil && result.Refused > 0 {
		err = fmt.Errorf("%s refused", counted(result.Refused, "user was", "users were"))
	}
	return err
}
