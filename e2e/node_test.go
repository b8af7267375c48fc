package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"
)

// TestPostsToANodeServiceNeverMeetAClosedConnection posts before and after the service has closed the idle connection.
// With `make long WHAT=node` it is Node's own 5 s and a POST every 7 s, a hundred times; else 50 ms.
func TestPostsToANodeServiceNeverMeetAClosedConnection(t *testing.T) {
	t.Parallel()
	posts, keepAlive, pauses := 200, "50", []time.Duration{10 * time.Millisecond, 75 * time.Millisecond}
	if os.Getenv("WXGATE_NODE") != "" {
		posts, keepAlive, pauses = 100, "", []time.Duration{7 * time.Second}
	}
	server := node(t, "testdata/node", "server.js", keepAlive)
	w := newWorld(t)
	w.service.Close()
	w.service.URL = "http://127.0.0.1:" + server.says(t, "port ", 20*time.Second)
	w.writeConfig("")
	w.serve()
	token := w.login("alice")
	for i := range posts {
		timer := time.NewTimer(pauses[i%len(pauses)])
		<-timer.C
		got, err := w.try("POST", "/api/orders", token, `{"dish":"红烧肉"}`, "X-Test-Id", fmt.Sprint(i))
		if err != nil || got.status != http.StatusOK {
			t.Errorf("POST %d: %d %s, %v", i, got.status, got.body, err)
		}
	}
	counts := map[string]int{}
	if err := json.Unmarshal([]byte(w.call("GET", "/api/counts", token, "").body), &counts); err != nil {
		t.Fatal(err)
	}
	for id, n := range counts {
		if n != 1 {
			t.Errorf("POST %s was executed %d times", id, n)
		}
	}
	if len(counts) != posts {
		t.Errorf("%d POSTs were executed, want %d", len(counts), posts)
	}
}
