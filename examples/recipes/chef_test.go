package recipes

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// ask sends a question as user 7 over a socket, and returns the answer with its body still coming.
func ask(ctx context.Context, t *testing.T, url, question string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/chef", strings.NewReader(question))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-User-Id", "7")
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestTheChefAnswersAboutTheRecipeThatIsNamed(t *testing.T) {
	t.Parallel()
	service := newService(Options{}, time.Now)
	service.pace = 0
	server := httptest.NewServer(service.routes())
	t.Cleanup(server.Close)
	for question, want := range map[string]string{
		"红烧肉怎么做？": "红烧肉，大约 90 分钟。\n先备好五花肉 500 克、",
		"佛跳墙怎么做？": "这个我不会，给你推荐最快的一道。蒜蓉西兰花，大约 10 分钟。",
	} {
		response := ask(t.Context(), t, server.URL, `{"question":"`+question+`"}`)
		text, err := io.ReadAll(response.Body)
		if err != nil || !strings.HasPrefix(string(text), want) || !strings.Contains(string(text), "\n2. ") {
			t.Errorf("got %q (%v), want it to begin with %q and to have a second step", text, err, want)
		}
	}
}

func TestTheChefTellsNoStepsThatWereNotBought(t *testing.T) {
	t.Parallel()
	text := advise("", newService(Options{Shop: Shop{OfferID: "1"}}, time.Now).shelf.find("鲈鱼", "7")[0])
	if strings.Contains(text, "1. ") || !strings.Contains(text, "做法要先购买") {
		t.Errorf("got %q, want no steps", text)
	}
}

func TestTheChefRefusesInTheEnvelope(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	for body, want := range map[string]string{
		`{"question":""}`: "invalid_request", `{"question":"` + strings.Repeat("面", 101) + `"}`: "invalid_request", `?`: "invalid_request",
	} {
		if got := k.call("POST", "/api/v1/chef", body, "X-User-Id: 7"); got.Reason != want {
			t.Errorf("got %+v, want %s, for %.40s", got, want, body)
		}
	}
	if got := k.call("POST", "/api/v1/chef", `{"question":"面"}`); got.Reason != "identity_missing" {
		t.Errorf("got %+v, want identity_missing", got)
	}
}

func TestTheChefSpeaksAsItThinksAndStopsWhenNobodyListens(t *testing.T) {
	t.Parallel()
	service := newService(Options{}, time.Now)
	service.pace = time.Hour // so that the first words can only be read before the last ones are there
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		service.routes().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ctx, leave := context.WithCancel(t.Context())
	response := ask(ctx, t, server.URL, `{"question":"麻婆豆腐"}`)
	first := make([]byte, len("麻婆豆"))
	if _, err := io.ReadFull(bufio.NewReader(response.Body), first); err != nil || string(first) != "麻婆豆" {
		t.Fatalf("got %q (%v), want 麻婆豆", first, err)
	}
	leave()
	<-ended
}
