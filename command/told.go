package command

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxgate/authn"
	"wxgate/command/progress"
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
	result, p := resyncResult{Users: []int64{}}, progress.New(w.stderr, "users", c.Quiet || c.JSON)
	defer p.End()
	client.stderr = p
	var all int64 // behind another user than the first nobody has counted them
	if c.After == 0 && !c.Quiet && !c.JSON {
		all = client.countUsers(ctx)
	}
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
		p.Of(all, int64(result.Told+result.Refused))
	}
	p.End()
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

type usersUntoldCommand struct {
	output

	Waiting time.Duration `default:"10m" placeholder:"DURATION" help:"Only what has waited for this long (10m)."`
}

// maxUntold is how many are listed.
const maxUntold = 1000

// Run lists events, by user.
func (c usersUntoldCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	found, more := []authn.Untold{}, false
	for after := new(int64); after != nil && !more; {
		var page authn.UntoldPage
		query := url.Values{"after": {strconv.FormatInt(*after, 10)}, "waiting": {c.Waiting.String()}}
		if err := client.ask(ctx, http.MethodGet, "/api/users/untold?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		room := maxUntold - len(found)
		found, more = append(found, page.Events[:min(len(page.Events), room)]...), len(page.Events) > room
		after = page.Next
	}
	return c.print(w.stdout, found, func(t *table) {
		t.row("USER", "EVENT", "SINCE", "ATTEMPTS", "LAST ERROR")
		for _, e := range found {
			t.row(e.UserID, string(e.Type), readableTime(e.At), e.Attempts, e.LastError)
		}
		if more {
			t.row(fmt.Sprintf("(these are the first %d)", maxUntold))
		}
	})
}
