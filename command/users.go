package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxgate/gateway/admin"
	"wxgate/input"
)

type usersCommand struct {
	List   usersListCommand   `cmd:"" help:"List users by id."`
	Show   usersShowCommand   `cmd:"" help:"Show one user."`
	Import usersImportCommand `cmd:"" help:"Import users of an existing backend, one JSON object per line."`
	Resync usersResyncCommand `cmd:"" help:"Tell the service of authn.on_user about every user again."`
	Untold usersUntoldCommand `cmd:"" help:"List what the service of authn.on_user has not accepted yet."`
	Export usersExportCommand `cmd:"" help:"Print every user, one JSON object per line: this is personal data."`
	Quotas usersQuotasCommand `cmd:"" help:"Show what a user has of the quotas of today, or grant more of one."`
	Ban    usersBanCommand    `cmd:"" help:"Refuse a user's tokens and logins."`
	Unban  usersUnbanCommand  `cmd:"" help:"Lift a ban."`
	Unlink usersUnlinkCommand `cmd:"" help:"Make a user of its own again of an account that was linked to another user."`
	Erase  usersEraseCommand  `cmd:"" help:"Remove all personal data of a user permanently."`
}

// bannedUntil says in words until when a user is banned.
func bannedUntil(u admin.Account) string {
	const anAge = 50 * 365 * 24 * time.Hour
	switch {
	case u.BannedUntil == nil:
		return "-"
	case time.Until(u.BannedUntil.Time) > anAge:
		return "for ever"
	}
	return readableTime(u.BannedUntil.Time)
}

type usersListCommand struct {
	output

	After    int64  `placeholder:"ID" help:"Start after this id."`
	Limit    int    `default:"100" placeholder:"N" help:"How many (100); at most 1000."`
	OpenID   string `name:"openid" placeholder:"OPENID" help:"Only the user with this openid."`
	Nickname string `placeholder:"TEXT" help:"Only users with this in their nickname, in letters of either case."`
	AppID    string `name:"appid" placeholder:"APPID" help:"With --openid, only in this mini-program."`
}

// query returns the query for the admin API, for users after an id.
func (c usersListCommand) query(after int64, limit int) string {
	query := url.Values{}
	if c.OpenID != "" {
		query.Set("openid", c.OpenID)
	} else {
		query.Set("after", strconv.FormatInt(after, 10))
		query.Set("limit", strconv.Itoa(limit))
	}
	if c.AppID != "" {
		query.Set("appid", c.AppID)
	}
	if c.Nickname != "" {
		query.Set("nickname", c.Nickname)
	}
	return query.Encode()
}

// ask asks for a page. A look for a nickname ends early again and again, and goes on until the page is full.
func (c usersListCommand) ask(ctx context.Context, client *adminClient) (admin.UserPage, error) {
	page := admin.UserPage{Users: []admin.Account{}}
	for after := c.After; ; after = *page.Next {
		var part admin.UserPage
		if err := client.ask(ctx, http.MethodGet, "/api/users?"+c.query(after, c.Limit-len(page.Users)), nil, &part); err != nil {
			return page, err
		}
		page.Users, page.Next = append(page.Users, part.Users...), part.Next
		if page.Next == nil || len(page.Users) >= c.Limit {
			return page, nil
		}
	}
}

// Validate refuses flags that would be ignored.
func (c usersListCommand) Validate() error {
	switch {
	case c.AppID != "" && c.OpenID == "":
		return errors.New("--appid goes with --openid")
	case c.OpenID != "" && c.After != 0:
		return errors.New("--openid is one user; --after is for all of them")
	case c.OpenID != "" && c.Nickname != "":
		return errors.New("--openid is one user, whatever the nickname")
	}
	return nil
}

// Run lists users.
func (c usersListCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	page, err := c.ask(ctx, client)
	if err != nil {
		return err
	}
	return c.print(w.stdout, page, func(t *table) {
		t.row("ID", "APPID", "OPENID", "NICKNAME", "BANNED UNTIL", "CREATED")
		for _, u := range page.Users {
			t.row(u.ID, u.AppID, u.OpenID, u.Nickname, bannedUntil(u), readableTime(u.CreatedAt.Time))
		}
		if page.Next != nil {
			nickname := ""
			if c.Nickname != "" {
				nickname = fmt.Sprintf("--nickname %q ", c.Nickname)
			}
			t.row(fmt.Sprintf("(more: wxgate users list %s--after %d)", nickname, *page.Next))
		}
	})
}

type usersShowCommand struct {
	output

	ID userID `arg:"" help:"The user's id."`
}

// Run shows one user.
func (c usersShowCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	return askAccount(ctx, w, client, c.output, http.MethodGet, fmt.Sprintf("/api/users/%d", c.ID), nil)
}

type usersQuotasCommand struct {
	output

	ID    userID `arg:"" help:"The user's id."`
	Name  string `placeholder:"NAME" help:"The quota to grant more of."`
	Grant grant  `placeholder:"N" help:"How many more today, or fewer (--grant=-5)."`
}

// grant is how many more a user may have, or fewer if it is negative.
type grant int64

// UnmarshalText reads a grant.
func (g *grant) UnmarshalText(text []byte) error {
	digits, negative := strings.CutPrefix(string(text), "-")
	n, err := input.Count(digits)
	if negative {
		n = -n
	}
	*g = grant(n)
	return err
}

// Validate refuses a grant of nothing, and of no quota.
func (c usersQuotasCommand) Validate() error {
	if (c.Name == "") != (c.Grant == 0) {
		return errors.New("--name and --grant go together")
	}
	return nil
}

// Run shows the quotas of a user, after granting.
func (c usersQuotasCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	path := fmt.Sprintf("/api/users/%d/quotas", c.ID)
	if c.Name != "" {
		if err := client.ask(ctx, http.MethodPost, path, map[string]any{"name": c.Name, "grant": c.Grant}, nil); err != nil {
			return err
		}
	}
	var list admin.QuotaList
	if err := client.ask(ctx, http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	return c.print(w.stdout, list, func(t *table) {
		t.row("QUOTA", "PER DAY", "GRANTED", "USED", "LEFT", "RESETS")
		for _, q := range list.Quotas {
			t.row(q.Name, q.PerDay, q.Granted, q.Used, q.Left, readableTime(q.Resets.Time))
		}
	})
}

type usersBanCommand struct {
	output

	ID  userID         `arg:"" help:"The user's id."`
	For *time.Duration `placeholder:"DURATION" help:"How long, such as 72h or 7d; permanent if omitted."`
}

// Validate refuses a ban that ends before it begins: 0s does not mean forever.
func (c usersBanCommand) Validate() error {
	if c.For != nil && *c.For <= 0 {
		return fmt.Errorf("--for: %v is not a time span; leave --for out for a permanent ban", *c.For)
	}
	return nil
}

// Run bans a user.
func (c usersBanCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	ban := map[string]string{}
	if c.For != nil {
		ban["for"] = c.For.String()
	}
	return askAccount(ctx, w, client, c.output, http.MethodPost, fmt.Sprintf("/api/users/%d/ban", c.ID), ban)
}

type usersUnbanCommand struct {
	output

	ID userID `arg:"" help:"The user's id."`
}

// Run lifts a ban.
func (c usersUnbanCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	return askAccount(ctx, w, client, c.output, http.MethodDelete, fmt.Sprintf("/api/users/%d/ban", c.ID), nil)
}

// askAccount sends a request and prints the account in the answer.
func askAccount(ctx context.Context, w *env, client *adminClient, out output, method, path string, body any) error {
	var u admin.Account
	if err := client.ask(ctx, method, path, body, &u); err != nil {
		return err
	}
	return out.print(w.stdout, u, func(t *table) { printAccount(t, u) })
}

func printAccount(t *table, u admin.Account) {
	t.row("id", u.ID)
	t.row("appid", u.AppID)
	t.row("openid", u.OpenID)
	t.row("unionid", u.UnionID)
	t.row("nickname", u.Nickname)
	t.row("avatar", u.Avatar)
	t.row("bio", strings.ReplaceAll(u.Bio, "\n", " "))
	t.row("recipes", u.RecipeCount)
	t.row("followers", u.FollowerCount)
	t.row("following", u.FollowingCount)
	t.row("favorites", u.FavoriteCount)
	if u.Link != "" {
		t.row("link", u.Link)
	}
	if u.LinkedTo != 0 {
		t.row("linked to", u.LinkedTo)
	}
	for _, id := range u.Accounts {
		t.row("account", id)
	}
	if u.DeletesAt != nil {
		t.row("deletes at", readableTime(u.DeletesAt.Time))
	}
	t.row("created", readableTime(u.CreatedAt.Time))
	t.row("updated", readableTime(u.UpdatedAt.Time))
	t.row("banned until", bannedUntil(u))
}

type usersUnlinkCommand struct {
	output

	ID userID `arg:"" help:"The id of the account."`
}

// Run unlinks an account.
func (c usersUnlinkCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	return askAccount(ctx, w, client, c.output, http.MethodDelete, fmt.Sprintf("/api/users/%d/link", c.ID), nil)
}

type usersEraseCommand struct {
	output

	ID  userID `arg:"" help:"The user's id."`
	Yes bool   `help:"Do not ask for confirmation."`
}

// Run erases a user after the operator has typed the id a second time.
func (c usersEraseCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	if err := c.confirm(w); err != nil {
		return err
	}
	if err := client.ask(ctx, http.MethodDelete, fmt.Sprintf("/api/users/%d", c.ID), nil, nil); err != nil {
		return err
	}
	erased := struct {
		Erased userID `json:"erased"`
	}{c.ID}
	return c.print(w.stdout, erased, func(t *table) { t.row(fmt.Sprintf("user %d is erased", c.ID)) })
}

func (c usersEraseCommand) confirm(w *env) error {
	if c.Yes {
		return nil
	}
	_, _ = fmt.Fprintf(w.stderr, "Erasing user %d cannot be undone. Type the id to continue: ", c.ID)
	var typed string
	if _, err := fmt.Fscanln(w.stdin, &typed); err != nil || typed != strconv.FormatInt(int64(c.ID), 10) {
		_, _ = fmt.Fprintln(w.stderr)
		return fmt.Errorf("user %d is not erased; type the id, or add --yes", c.ID)
	}
	return nil
}
