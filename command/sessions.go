package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"wxgate/gateway/admin"
)

type sessionsCommand struct {
	List   sessionsListCommand   `cmd:"" help:"List the sessions of a user; each is one login on one device."`
	Revoke sessionsRevokeCommand `cmd:"" help:"End a session, or all sessions of a user; their tokens are refused at once."`
}

type sessionsListCommand struct {
	output

	User  userID `arg:"" help:"The user's id."`
	After string `help:"Continue after an earlier page; its last line has the value."`
	Limit int    `default:"50" help:"How many; at most 100."`
}

// Run lists the sessions of a user.
func (c sessionsListCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	var list admin.SessionList
	path := fmt.Sprintf("/api/users/%d/sessions?limit=%d", c.User, c.Limit)
	if c.After != "" {
		path += "&after=" + url.QueryEscape(c.After)
	}
	if err := client.ask(ctx, http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	return c.print(w.stdout, list, func(t *table) {
		t.row("SESSION", "DEVICE", "CREATED", "REFRESHED", "EXPIRES")
		for _, s := range list.Sessions {
			t.row(s.ID, s.Device, readableTime(s.CreatedAt.Time), readableTime(s.RefreshedAt.Time), readableTime(s.ExpiresAt.Time))
		}
		if list.Next != nil {
			t.row(fmt.Sprintf("(more: wxgate sessions list %d --after %s)", c.User, *list.Next))
		}
	})
}

type sessionsRevokeCommand struct {
	output

	Session string `arg:"" optional:"" help:"The session's id; write -- before one that begins with -."`
	User    userID `placeholder:"ID" help:"End every session of this user."`
}

// Run ends one session, or all sessions of a user.
func (c sessionsRevokeCommand) Run(ctx context.Context, w *env) error {
	if (c.Session == "") == (c.User == 0) {
		return errors.New("name one session, or a user with --user ID")
	}
	client, err := newAdminClient(w)
	if err != nil {
		return err
	}
	var ended struct {
		Ended int `json:"ended"`
	}
	if c.Session != "" {
		err, ended.Ended = client.ask(ctx, http.MethodDelete, "/api/sessions/"+url.PathEscape(c.Session), nil, nil), 1
	} else {
		err = client.ask(ctx, http.MethodDelete, fmt.Sprintf("/api/users/%d/sessions", c.User), nil, &ended)
	}
	if err != nil {
		return err
	}
	return c.print(w.stdout, ended, func(t *table) {
		if c.Session != "" {
			t.row(fmt.Sprintf("session %s has ended", c.Session))
			return
		}
		t.row(fmt.Sprintf("%s of user %d ended", counted(ended.Ended, "session", "sessions"), c.User))
	})
}
