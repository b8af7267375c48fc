package recipes

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const noodles = `{"title":"阳春面","minutes":10,"ingredients":["面 200 克"],"steps":["煮面"]}`

// kitchen is a service at a fixed time, called without a network.
type kitchen struct {
	t       *testing.T
	handler http.Handler
}

// answer is an envelope with its data still encoded.
type answer struct {
	status    int
	Code      int
	Message   string
	Error     string
	Reason    string
	Timestamp string
	Data      json.RawMessage
}

func newKitchen(t *testing.T) kitchen {
	t.Helper()
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return kitchen{t, newService(Options{}, func() time.Time { return noon }).routes()}
}

// call sends a request with headers written as "Name: value".
func (k kitchen) call(method, path, body string, headers ...string) answer {
	k.t.Helper()
	request := httptest.NewRequestWithContext(k.t.Context(), method, path, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	recorder := httptest.NewRecorder()
	k.handler.ServeHTTP(recorder, request)
	got := answer{status: recorder.Code}
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		k.t.Fatalf("%s %s: got %q, want JSON: %v", method, path, recorder.Body, err)
	}
	return got
}

// data decodes what a successful call answered.
func data[T any](t *testing.T, from answer) T {
	t.Helper()
	var into T
	if err := json.Unmarshal(from.Data, &into); err != nil || from.status != http.StatusOK {
		t.Fatalf("got status %d and data %s, want 200 and %T (%v)", from.status, from.Data, into, err)
	}
	return into
}

func titles(p page) []string {
	var all []string
	for _, r := range p.Items {
		all = append(all, r.Title)
	}
	return all
}

func TestAnswersWearTheEnvelope(t *testing.T) {
	t.Parallel()
	got := newKitchen(t).call("GET", "/api/v1/recipes/1", "")
	if got.Code != 200 || got.Message != "success" || got.Timestamp != "2026-11-20T12:00:00.000Z" {
		t.Errorf("got %+v, want code 200, success, 2026-11-20T12:00:00.000Z", got)
	}
	if title := data[recipe](t, got).Title; title != "红烧肉" {
		t.Errorf("got recipe 1 %q, want 红烧肉", title)
	}
}

func TestRecipesAreListedNewestFirstInPages(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	for query, want := range map[string][]string{
		"?limit=2":                   {"蒜蓉西兰花", "宫保鸡丁"},
		"?limit=2&page=3":            {"番茄炒蛋", "红烧肉"},
		"?limit=2&page=4":            nil,
		"?page=9223372036854775807":  nil,
		"?q=%E8%B1%86%E8%85%90":      {"麻婆豆腐"},
		"?q=%E8%91%B1&limit=1":       {"清蒸鲈鱼"},
		"?q=nothing":                 nil,
		"?limit=9223372036854775807": {"蒜蓉西兰花", "宫保鸡丁", "清蒸鲈鱼", "麻婆豆腐", "番茄炒蛋", "红烧肉"},
	} {
		if got := titles(data[page](t, k.call("GET", "/api/v1/recipes"+query, ""))); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v, for %s", got, want, query)
		}
	}
}

func TestAnEmptyPageIsAListAndNotNull(t *testing.T) {
	t.Parallel()
	got := newKitchen(t).call("GET", "/api/v1/recipes?q=nothing", "")
	if !strings.Contains(string(got.Data), `"items":[]`) {
		t.Errorf("got %s, want items to be []", got.Data)
	}
}

func TestTheAuthorIsTheUserWhomTheGatewayNames(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	body := strings.Replace(noodles, "{", `{"author_id":"1","id":1,`, 1)
	made := data[recipe](t, k.call("POST", "/api/v1/recipes", body, "X-User-Id: 7", "X-User-Nickname: %E5%B0%8F%E6%98%8E+1"))
	if made.AuthorID != "7" || made.Author != "小明+1" || made.ID != 7 || made.CreatedAt != "2026-11-20T12:00:00Z" {
		t.Errorf("got %+v, want recipe 7 by user 7, 小明+1, at noon", made)
	}
	if got := data[recipe](t, k.call("GET", "/api/v1/recipes/7", "")); !reflect.DeepEqual(got, made) {
		t.Errorf("got %+v, want what was made, %+v", got, made)
	}
}

func TestOnlyTheAuthorRemovesARecipe(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	k.call("POST", "/api/v1/recipes", noodles, "X-User-Id: 7")
	if got := k.call("DELETE", "/api/v1/recipes/7", "", "X-User-Id: 8"); got.status != 403 || got.Reason != "not_yours" {
		t.Errorf("got %d %s for a stranger, want 403 not_yours", got.status, got.Reason)
	}
	if got := k.call("DELETE", "/api/v1/recipes/7", "", "X-User-Id: 7"); got.status != 200 {
		t.Errorf("got %d for the author, want 200", got.status)
	}
	if got := k.call("GET", "/api/v1/recipes/7", ""); got.status != 404 {
		t.Errorf("got %d after the removal, want 404", got.status)
	}
}

func TestAUserLikesARecipeOnce(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	for _, user := range []string{"7", "8", "7"} {
		k.call("POST", "/api/v1/recipes/1/like", "", "X-User-Id: "+user)
	}
	if got := data[recipe](t, k.call("GET", "/api/v1/recipes/1", "")).Likes; got != 2 {
		t.Errorf("got %d likes, want 2, after users 7, 8 and 7 again", got)
	}
}

// TestAHeartIsRedForWhoLikesTheRecipeAlone: it was red for everybody once somebody liked it.
func TestAHeartIsRedForWhoLikesTheRecipeAlone(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	k.call("POST", "/api/v1/recipes/1/like", "", "X-User-Id: 7")
	for header, want := range map[string]bool{"X-User-Id: 7": true, "X-User-Id: 8": false, "X-User-Id: ": false, "Accept: */*": false} {
		shown := data[recipe](t, k.call("GET", "/api/v1/recipes/1", "", header))
		listed := data[page](t, k.call("GET", "/api/v1/recipes?q=%E7%BA%A2%E7%83%A7", "", header)).Items[0]
		if shown.Liked != want || listed.Liked != want || shown.Likes != 1 {
			t.Errorf("got liked %t, in the list %t, %d likes, want %t twice and 1, with %q", shown.Liked, listed.Liked, shown.Likes, want, header)
		}
	}
}

func TestALikeIsTakenBackByWhoGaveIt(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	k.call("POST", "/api/v1/recipes/1/like", "", "X-User-Id: 7")
	for _, c := range []struct {
		method, user string
		likes        int
		liked        bool
	}{{"DELETE", "8", 1, false}, {"DELETE", "7", 0, false}, {"DELETE", "7", 0, false}, {"POST", "7", 1, true}} {
		got := data[recipe](t, k.call(c.method, "/api/v1/recipes/1/like", "", "X-User-Id: "+c.user))
		if got.Likes != c.likes || got.Liked != c.liked {
			t.Errorf("got %d likes, liked %t, want %d, %t, after %s by %s", got.Likes, got.Liked, c.likes, c.liked, c.method, c.user)
		}
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	for _, c := range []struct {
		method, path, body, identity, reason string
		status                               int
	}{
		{"POST", "/api/v1/recipes", noodles, "", "identity_missing", 401},
		{"POST", "/api/v1/recipes/1/like", "", "", "identity_missing", 401},
		{"DELETE", "/api/v1/recipes/1/like", "", "", "identity_missing", 401},
		{"DELETE", "/api/v1/recipes/99/like", "", "7", "recipe_not_found", 404},
		{"DELETE", "/api/v1/recipes/1", "", "", "identity_missing", 401},
		{"DELETE", "/api/v1/recipes/1", "", "7", "not_yours", 403},
		{"DELETE", "/api/v1/recipes/99", "", "7", "recipe_not_found", 404},
		{"POST", "/api/v1/recipes/99/like", "", "7", "recipe_not_found", 404},
		{"GET", "/api/v1/recipes/99", "", "", "recipe_not_found", 404},
		{"GET", "/api/v1/recipes/abc", "", "", "recipe_not_found", 404},
		{"GET", "/api/v1/recipes?page=0", "", "", "invalid_request", 400},
		{"GET", "/api/v1/recipes?limit=x", "", "", "invalid_request", 400},
		{"POST", "/api/v1/recipes", "{", "7", "invalid_request", 400},
		{"POST", "/api/v1/recipes", `{"title":" "}`, "7", "invalid_request", 400},
		{"POST", "/api/v1/recipes", strings.Replace(noodles, "10", "0", 1), "7", "invalid_request", 400},
		{"POST", "/api/v1/recipes", strings.Replace(noodles, `["煮面"]`, "[]", 1), "7", "invalid_request", 400},
		{"POST", "/api/v1/recipes", strings.Replace(noodles, `["面 200 克"]`, "[]", 1), "7", "invalid_request", 400},
		{"POST", "/api/v1/recipes", strings.Repeat(" ", largestBody) + noodles, "7", "body_too_large", 413},
	} {
		got := k.call(c.method, c.path, c.body, "X-User-Id: "+c.identity)
		if got.status != c.status || got.Code != c.status || got.Reason != c.reason || got.Message == "" {
			t.Errorf("got %d %s %q, want %d %s, for %s %s by %q with %.80s",
				got.status, got.Reason, got.Message, c.status, c.reason, c.method, c.path, c.identity, c.body)
		}
	}
}

func TestTwoIdentitiesAreNone(t *testing.T) {
	t.Parallel()
	got := newKitchen(t).call("POST", "/api/v1/recipes", noodles, "X-User-Id: 7", "X-User-Id: 1")
	if got.status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401, for two values of X-User-Id", got.status)
	}
}

func TestWhoamiShowsEveryIdentityHeaderAndNoToken(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/whoami", "/api/v1/whoami"} {
		got := newKitchen(t).call("PUT", path+"?a=1", "", "X-User-Id: 7", "X-User-Id: 1", "x-forwarded-for: 10.0.0.1",
			"X-Request-Id: r1", "Authorization: Bearer s3cret", "Cookie: s3cret")
		want := seen{"PUT", path + "?a=1", map[string][]string{
			"X-User-Id": {"7", "1"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Request-Id": {"r1"},
		}, true}
		if echoed := data[seen](t, got); !reflect.DeepEqual(echoed, want) || strings.Contains(string(got.Data), "s3cret") {
			t.Errorf("got %s, want %+v", got.Data, want)
		}
	}
}

func TestTheShelfIsBounded(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	for range mostRecipes - len(classics()) {
		k.call("POST", "/api/v1/recipes", noodles, "X-User-Id: 7")
	}
	if got := k.call("POST", "/api/v1/recipes", noodles, "X-User-Id: 7"); got.status != 503 || got.Reason != "shelf_full" {
		t.Errorf("got %d %s, want 503 shelf_full, after %d recipes", got.status, got.Reason, mostRecipes)
	}
}

func TestTwoServicesShareNothing(t *testing.T) {
	t.Parallel()
	first, second := kitchen{t, New()}, kitchen{t, New()}
	first.call("POST", "/api/v1/recipes", noodles, "X-User-Id: 7")
	if got := second.call("GET", "/api/v1/recipes/7", ""); got.status != 404 {
		t.Errorf("got %d, want 404: the recipe was given to the other service", got.status)
	}
}

func TestManyUsersAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	done := make(chan struct{})
	for i := range 20 {
		go func() {
			defer func() { done <- struct{}{} }()
			k.call("POST", "/api/v1/recipes", noodles, fmt.Sprint("X-User-Id: ", i))
			k.call("POST", "/api/v1/recipes/1/like", "", fmt.Sprint("X-User-Id: ", i))
		}()
	}
	for range 20 {
		<-done
	}
	total := data[page](t, k.call("GET", "/api/v1/recipes", "")).Total
	likes := data[recipe](t, k.call("GET", "/api/v1/recipes/1", "")).Likes
	if total != len(classics())+20 || likes != 20 {
		t.Errorf("got %d recipes and %d likes, want %d and 20", total, likes, len(classics())+20)
	}
}

func TestHealthIsPlain(t *testing.T) {
	t.Parallel()
	if got := newKitchen(t).call("GET", "/healthz", ""); got.status != http.StatusOK {
		t.Errorf("got %d, want 200", got.status)
	}
}

// TestAnErasedUserLeavesNothingOnTheShelf takes what the gateway tells, and only what it has signed.
func TestAnErasedUserLeavesNothingOnTheShelf(t *testing.T) {
	t.Parallel()
	key := make([]byte, 32)
	s := &shopkeeper{kitchen: kitchen{t, newService(Options{UsersSecret: "whsec_" + base64.StdEncoding.EncodeToString(key)}, time.Now).routes()}}
	for _, as := range []string{"X-User-Id: 7", "X-User-Id: 8"} {
		if status, answer := s.post("/api/v1/recipes", `{"title":"汤","minutes":5,"ingredients":["水"],"steps":["煮"]}`, as); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		if status, answer := s.post("/api/v1/recipes/1/like", "", as); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	const body = `{"type":"user.erased","timestamp":"2026-11-29T07:00:00.000Z","id":7}`
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("evt_1." + now + "." + body))
	good := "Webhook-Signature: v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, forged := range [][]string{{}, {good}, {good, "Webhook-Id: evt_2", "Webhook-Timestamp: " + now}, {good, "Webhook-Id: evt_1", "Webhook-Timestamp: 1"}} {
		if status, _ := s.post("/internal/users", body, forged...); status != http.StatusUnauthorized {
			t.Errorf("%v: %d, want 401", forged, status)
		}
	}
	for range 2 {
		if status, answer := s.post("/internal/users", body, good, "Webhook-Id: evt_1", "Webhook-Timestamp: "+now); status != http.StatusNoContent {
			t.Errorf("the gateway's: %d %s", status, answer)
		}
	}
	var found struct{ Data struct{ Items []recipe } }
	var authors []string
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/recipes", nil))
	if err := json.Unmarshal(recorder.Body.Bytes(), &found); err != nil {
		t.Fatal(recorder.Body)
	}
	for _, r := range found.Data.Items {
		if authors = append(authors, r.AuthorID); r.ID == 1 && r.Likes != 1 {
			t.Errorf("recipe 1 has %d likes, want that of user 8", r.Likes)
		}
	}
	if slices.Contains(authors, "7") || !slices.Contains(authors, "8") {
		t.Errorf("the authors are %v, want 8 and not 7", authors)
	}
}
