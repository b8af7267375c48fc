package upstreamtest

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Mood is how a Switchable service behaves.
type Mood string

// The moods of a Switchable service.
const (
	Well     Mood = "well"     // answers 200
	Failing  Mood = "failing"  // answers 500
	Down     Mood = "down"     // answers 503
	Frozen   Mood = "frozen"   // reads requests, and answers when the mood changes
	Slow     Mood = "slow"     // answers 200 after its Delay
	Hangup   Mood = "hangup"   // resets the connection after reading a request
	Refusing Mood = "refusing" // does not listen, and keeps its port
)

// Switchable is a service whose behaviour a test can change while it runs. It answers with its Name.
type Switchable struct {
	*Service
	Name  string
	Delay time.Duration // of Slow

	mu      sync.Mutex
	mood    Mood
	changed chan struct{}
}

// NewSwitchable runs a Switchable that is Well, at an address such as 127.0.0.1:0.
func NewSwitchable(t testing.TB, name, address string) *Switchable {
	t.Helper()
	s := &Switchable{Service: listenAtHeld(t, address), Name: name, mood: Well, changed: make(chan struct{})}
	t.Cleanup(func() { s.Become(t, Failing) }) // before the service is closed: lets go of the frozen
	s.start(s.serve)
	return s
}

// Become changes the mood, also for requests that are frozen.
func (s *Switchable) Become(t testing.TB, m Mood) {
	t.Helper()
	s.mu.Lock()
	was := s.mood
	s.mood = m
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	switch {
	case m == Refusing && was != Refusing:
		s.Close()
	case m != Refusing && was == Refusing:
		s.reopen(t)
	}
}

// reopen listens again at the address of before.
func (s *Switchable) reopen(t testing.TB) {
	t.Helper()
	ln, err := listenHeld(s.Addr)
	if err != nil {
		t.Errorf("listening again: %v", err)
		return
	}
	s.ln = ln
	s.start(s.serve)
}

func (s *Switchable) now() (Mood, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mood, s.changed
}

func (s *Switchable) serve(conn net.Conn, n int) {
	br := bufio.NewReader(conn)
	for {
		if _, err := s.Receive(br, n); err != nil {
			return
		}
		mood, changed := s.now()
		for mood == Frozen {
			<-changed
			mood, changed = s.now()
		}
		if !s.answer(conn, mood) {
			return
		}
	}
}

func (s *Switchable) answer(conn net.Conn, mood Mood) bool {
	text := OK("text/plain", s.Name)
	switch mood {
	case Failing:
		text = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
	case Down:
		text = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
	case Slow:
		Dawdle(s.Delay)
	case Hangup, Refusing:
		Reset(conn)
		return false
	}
	_, err := io.WriteString(conn, text)
	return err == nil
}
