package recipes

import (
	"net/http"
	"net/url"
	"strings"
)

// user is who the gateway says is calling.
type user struct {
	id       string
	nickname string
}

// caller reads the identity headers. Two values of one header never come from wxgate, so they are nobody.
func caller(r *http.Request) (user, error) {
	ids := r.Header.Values("X-User-Id")
	if len(ids) != 1 || ids[0] == "" {
		return user{}, problem{http.StatusUnauthorized, "identity_missing", "请先登录"}
	}
	return user{id: ids[0], nickname: decoded(r.Header.Get("X-User-Nickname"))}, nil
}

// viewer is the id of who is looking, "" for a guest.
func viewer(r *http.Request) string {
	user, err := caller(r)
	if err != nil {
		return ""
	}
	return user.id
}

// decoded undoes the percent-encoding in which a header carries Chinese.
func decoded(value string) string {
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// seen is what arrived of a request that matters to trust.
type seen struct {
	Method        string              `json:"method"`
	Path          string              `json:"path"`
	Headers       map[string][]string `json:"headers"`       // every value, so that a second one would show
	Authorization bool                `json:"authorization"` // whether a token came along; never the token
}

func whoami(_ http.ResponseWriter, r *http.Request) (any, error) {
	headers := map[string][]string{}
	for name, values := range r.Header {
		if tells(name) {
			headers[name] = values
		}
	}
	return seen{r.Method, r.URL.RequestURI(), headers, r.Header.Get("Authorization") != ""}, nil
}

func tells(header string) bool {
	return strings.HasPrefix(header, "X-User-") || strings.HasPrefix(header, "X-Forwarded-") || header == "X-Request-Id"
}
