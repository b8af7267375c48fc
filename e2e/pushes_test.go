package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat"
)

const (
	pushToken = "e2e-push-token"
	pushKey   = "e2eabcdefghijklmnopqrstuvwxyz0123456789ABCD"
	pushWords = "words that a person wrote"
)

// pushedService is a service that receives messages of WeChat.
type pushedService struct {
	*httptest.Server

	mu       sync.Mutex
	arrived  map[int]int // by MsgId, how often
	accepted map[int]int
	unmarked map[int]int // without X-Wxgate-Repeat
	keys     map[string]int
}

func newPushedService(t *testing.T) *pushedService {
	t.Helper()
	s := &pushedService{arrived: map[int]int{}, accepted: map[int]int{}, unmarked: map[int]int{}, keys: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var message struct{ MsgID int }
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(body), "MsgId", "MsgID")), &message); err != nil || r.URL.Path != "/wechat/push" {
			t.Errorf("%s %s: %v", r.URL, body, err)
		}
		s.mu.Lock()
		s.arrived[message.MsgID]++
		if r.Header.Get("X-Wxgate-Repeat") == "" {
			s.unmarked[message.MsgID]++
		}
		key := r.Header.Get("Idempotency-Key")
		if other, known := s.keys[key]; known && other != message.MsgID {
			t.Errorf("one key for the messages %d and %d", other, message.MsgID)
		}
		s.keys[key] = message.MsgID
		s.mu.Unlock()
		<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond) // so that kills come before, within and after the call
		if rand.IntN(20) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.mu.Lock()
		s.accepted[message.MsgID]++
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"answer":%d}`, message.MsgID)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestEachPushReachesTheServiceOnce sends 10,000 messages with WXGATE_PUSHES=10000, each up to three times as WeChat does and
// sometimes twice at once, while the gateway is killed. What is acknowledged is accepted; what reaches the service a second
// time is marked.
func TestEachPushReachesTheServiceOnce(t *testing.T) {
	t.Parallel()
	messages, err := strconv.Atoi(os.Getenv("WXGATE_PUSHES"))
	if err != nil {
		messages = 300
	}
	w, s := newWorld(t), newPushedService(t)
	w.rewrite("limits:", fmt.Sprintf("  messages: %s\nlimits:", s.URL))
	w.rewrite("wechat: {", fmt.Sprintf("wechat: { push: { token: %s, aes_key: %s, upstream: messages },", pushToken, pushKey))
	p, err := wechat.NewPush(appID, pushToken, pushKey)
	if err != nil {
		t.Fatal(err)
	}
	w.serve()
	sender := &pushSender{t: t, push: p, acknowledged: map[int]bool{}}
	sender.at(w.url)
	var next atomic.Int64
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for id := next.Add(1); id <= int64(messages); id = next.Add(1) {
				sender.message(int(id))
			}
		})
	}
	done := make(chan struct{})
	go func() { senders.Wait(); close(done) }()
	kills := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(time.Duration(300+rand.IntN(700)) * time.Millisecond):
			sender.at("") // what is under way is cut off
			w.kill()
			kills++
			w.serve()
			sender.at(w.url)
		}
	}
	sender.check(s, messages, kills)
}

// pushSender is WeChat.
type pushSender struct {
	t    *testing.T
	push *wechat.Push
	url  atomic.Pointer[string]

	mu           sync.Mutex
	acknowledged map[int]bool
	attempts     int
}

// at says where the gateway is; "": it is being started, which takes less than WeChat waits between two attempts.
func (s *pushSender) at(url string) { s.url.Store(&url) }

// gateway waits until there is one.
func (s *pushSender) gateway() (url string) {
	eventually(s.t, time.Minute, func() bool {
		url = *s.url.Load()
		return url != ""
	})
	return url
}

// message sends a message up to three times: until it is acknowledged, and sometimes although it was.
func (s *pushSender) message(id int) {
	for range 3 {
		copies := 1 + rand.IntN(20)/19
		var at sync.WaitGroup
		var taken atomic.Bool
		for range copies {
			at.Go(func() {
				if s.attempt(id) {
					taken.Store(true)
				}
			})
		}
		at.Wait()
		if taken.Load() && rand.IntN(3) > 0 {
			return
		}
		<-time.After(time.Duration(rand.IntN(200)) * time.Millisecond)
	}
}

// attempt sends a message once, signed anew, and reports whether it was acknowledged with the service's answer.
func (s *pushSender) attempt(id int) bool {
	url := s.gateway()
	query, body, err := s.push.Request(fmt.Appendf(nil, `{"MsgType":"text","Content":%q,"MsgId":%d}`, pushWords, id), time.Now())
	if err != nil {
		s.t.Error(err)
		return false
	}
	s.mu.Lock()
	s.attempts++
	s.mu.Unlock()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(url+"/wechat/push?"+query.Encode(), "text/xml", strings.NewReader(string(body)))
	if err != nil {
		return false // it was killed
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return false
	}
	if got := s.opened(text); got != fmt.Sprintf(`{"answer":%d}`, id) {
		s.t.Errorf("the answer to %d is %s", id, got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acknowledged[id] = true
	return true
}

// opened is what a sealed answer says.
func (s *pushSender) opened(text []byte) string {
	var sealed struct {
		MsgSignature, Nonce string
		TimeStamp           int64
	}
	if err := json.Unmarshal(text, &sealed); err != nil {
		return string(text)
	}
	query := map[string][]string{"timestamp": {strconv.FormatInt(sealed.TimeStamp, 10)}, "nonce": {sealed.Nonce}, "msg_signature": {sealed.MsgSignature}}
	message, err := s.push.Open(query, text)
	if err != nil {
		return err.Error()
	}
	return string(message.Body)
}

func (s *pushSender) check(service *pushedService, messages, kills int) {
	s.t.Helper()
	lost, twice, repeats := 0, 0, 0
	for id := 1; id <= messages; id++ {
		if s.acknowledged[id] && service.accepted[id] == 0 {
			lost++
		}
		if service.unmarked[id] > 1 {
			twice++
		}
		repeats += max(0, service.arrived[id]-1)
	}
	if lost > 0 || twice > 0 {
		s.t.Errorf("%d acknowledged messages never reached the service, %d reached it twice unmarked", lost, twice)
	}
	if kills == 0 || len(s.acknowledged) < messages/2 {
		s.t.Errorf("%d kills, %d messages of %d acknowledged", kills, len(s.acknowledged), messages)
	}
	s.t.Logf("| messages | attempts | kills | acknowledged | lost | twice unmarked | marked as possible repeats |")
	s.t.Logf("| %d | %d | %d | %d | %d | %d | %d |", messages, s.attempts, kills, len(s.acknowledged), lost, twice, repeats)
}
