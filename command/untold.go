package command

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxgate/authn"
)

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
