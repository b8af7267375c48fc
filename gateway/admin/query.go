package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"wxgate/gateway/answer"
)

// anyParameter allows all parameters: they are for WeChat to check.
const anyParameter = "*"

// withKnownQuery serves only requests whose query has none but the known parameters, each once: an ignored one could
// have been the point, and GET /api/users?openid=… would list everybody.
func (a responder) withKnownQuery(known []string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := checkQuery(r.URL.RawQuery, known); err != nil {
			a.fail(w, err)
			return
		}
		serve(w, r)
	}
}

func checkQuery(raw string, known []string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	for name, values := range query {
		switch {
		case slices.Contains(known, anyParameter):
		case len(known) == 0:
			return fmt.Errorf("%w: there is no parameter %q, nor any other", answer.ErrInvalidRequest, name)
		case !slices.Contains(known, name):
			return fmt.Errorf("%w: there is no parameter %q, only %s", answer.ErrInvalidRequest, name, strings.Join(known, ", "))
		case len(values) > 1:
			return fmt.Errorf("%w: %s is given twice", answer.ErrInvalidRequest, name)
		}
	}
	return nil
}

// checkExclusive refuses other parameters beside name, except those that belong to it.
func checkExclusive(query url.Values, name string, others ...string) error {
	for other := range query {
		if other != name && !slices.Contains(others, other) {
			return fmt.Errorf("%w: %s and %s do not go together", answer.ErrInvalidRequest, name, other)
		}
	}
	return nil
}
