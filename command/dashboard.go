package command

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"wxgate/gateway/admin"
)

type dashboardCommand struct {
	output

	At string `placeholder:"URL" help:"The address at which your browser reaches the admin listener, such as http://localhost:9090 through ssh -L, or that of a proxy (default: server.admin)."`
}

// Validate refuses an address that is no origin.
func (d dashboardCommand) Validate() error {
	at, err := url.Parse(d.At)
	if d.At != "" && (err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery+at.Fragment != "" || at.User != nil) {
		return fmt.Errorf("--at: %q is not an address such as http://localhost:9090", d.At)
	}
	return nil
}

// invitation is a URL that signs one browser in.
type invitation struct {
	admin.Code

	URL string `json:"url"`
}

// Run prints the URL of the dashboard with a code that signs one browser in. A browser never sends what stands behind the #, so that
// it is in the log of no proxy.
func (d dashboardCommand) Run(ctx context.Context, w *env, client *adminClient) error {
	at := strings.TrimRight(d.At, "/")
	switch {
	case at != "":
	case client.socket != "":
		return fmt.Errorf("server.admin is %s, a Unix socket, which no browser opens: forward it with `ssh -L 9090:%s HOST`, "+
			"or give server.admin an address such as 127.0.0.1:9090. `wxgate dashboard --at http://localhost:9090` is for a socket that is forwarded",
			client.address, client.socket)
	default:
		at = client.url("")
	}
	invited := invitation{}
	if err := client.ask(ctx, http.MethodPost, "/api/dashboard/codes", nil, &invited.Code); err != nil {
		return err
	}
	invited.URL = at + "/#code=" + url.QueryEscape(invited.Code.Code)
	if d.JSON {
		return d.print(w.stdout, invited, nil)
	}
	_, err := fmt.Fprintf(w.stdout, "%s\n\nOpen it within a minute; the code signs one browser in, for eight hours.\n", invited.URL)
	return err
}
