package stream_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/http2"

	"wxgate/gateway/listen"
	"wxgate/gateway/stream"
	"wxgate/gateway/stream/streamtest"
	"wxgate/gateway/wire"
	"wxgate/message"
)

func dialQUIC(t *testing.T, addr string) *streamtest.QUIC {
	t.Helper()
	conn, err := streamtest.DialQUIC(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// held is a handler whose requests wait until they are let go.
func held() (h handler, arrived chan struct{}, letGo func()) {
	arrived, going := make(chan struct{}, 1000), make(chan struct{})
	return func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		arrived <- struct{}{}
		<-going
		_, _ = s.WriteResponse(&message.Response{Status: 200, Length: -1})
	}, arrived, func() { close(going) }
}

// TestStreamsTakePlacesLikeConnections: what one address, or all together, may have of connections they may have of
// streams that are served.
func TestStreamsTakePlacesLikeConnections(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*listen.Config){
		"all":         func(cfg *listen.Config) { cfg.MaxConns = 3 },
		"one address": func(cfg *listen.Config) { cfg.MaxConnsPerAddr = 3 },
	} {
		cfg := listen.DefaultConfig()
		limit(&cfg)
		refused := make(chan struct{}, 1)
		cfg.StreamRefused = func() { refused <- struct{}{} }
		h, arrived, letGo := held()
		addr, _ := serve(t, cfg, h)
		conns := [3]*streamtest.Conn{dial(t, addr), dial(t, addr), dial(t, addr)}
		var ids [3]uint32
		for i, conn := range conns {
			var err error
			if ids[i], err = conn.Open(get(), true); err != nil {
				t.Fatal(err)
			}
			<-arrived
		}
		if got, err := conns[0].Do(get(), ""); err != nil || !got.Broken {
			t.Errorf("%s: the fourth stream: %+v, %v, want a reset", name, got, err)
		}
		if len(refused) != 1 {
			t.Errorf("%s: %d were told, want one", name, len(refused))
		}
		letGo()
		for i, id := range ids {
			if got, err := conns[i].Answer(id); err != nil || got.Status != 200 {
				t.Errorf("%s: stream %d: %+v, %v", name, i, got, err)
			}
		}
		if got, err := conns[0].Do(get(), ""); err != nil || got.Status != 200 {
			t.Errorf("%s: when the others had ended: %+v, %v", name, got, err)
		}
	}
}

// TestAnswersThatTheirClientDoesNotTakeHoldPlaces of streams, though they are short and their handlers have returned.
func TestAnswersThatTheirClientDoesNotTakeHoldPlaces(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.MaxConns = 3
	written := make(chan struct{}, 10)
	addr, _ := serve(t, cfg, func(s *stream.Stream) {
		answers("short")(s)
		written <- struct{}{}
	})
	deaf, other := dial(t, addr), dial(t, addr)
	if err := deaf.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := deaf.Open(get(), true); err != nil {
			t.Fatal(err)
		}
		<-written
	}
	if got, err := other.Do(get(), ""); err != nil || !got.Broken {
		t.Errorf("the fourth: %+v, %v, want a reset", got, err)
	}
	if err := deaf.Close(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; {
		got, err := other.Do(get(), "")
		if err != nil || time.Since(began) > 20*time.Second {
			t.Fatalf("when the others had left: %+v, %v", got, err)
		}
		if got.Body == "short" {
			break
		}
	}
}

// TestAHeadThatDoesNotEndEndsItsConnection of HTTP/3, be it the first one or a later one, and whatever else comes.
func TestAHeadThatDoesNotEndEndsItsConnection(t *testing.T) {
	t.Parallel()
	unknown := []byte{0x21, 0} // a frame
	for name, each := range map[string]struct {
		limit    func(*listen.Config)
		requests int
	}{
		"the first": {func(cfg *listen.Config) { cfg.ReadHeader = time.Second }, 0},
		"a later":   {func(cfg *listen.Config) { cfg.Idle, cfg.WriteStall = time.Second, time.Second }, 1},
	} {
		cfg := listen.DefaultConfig()
		each.limit(&cfg)
		_, addr := servePackets(t, cfg, "127.0.0.1:0", answers(""))
		conn := dialQUIC(t, addr)
		for range each.requests {
			if got, err := conn.Do(get(), ""); err != nil || got.Status != 200 {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
		}
		whole := streamtest.Head(get())
		if _, err := conn.Open(whole[:len(whole)-1]); err != nil {
			t.Fatal(err)
		}
		other, err := conn.Open(unknown)
		if err != nil {
			t.Fatal(err)
		}
		wait := time.NewTimer(20 * time.Second)
		for more := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-conn.Context().Done():
				var told *quic.ApplicationError
				if err := context.Cause(conn.Context()); !errors.As(err, &told) {
					t.Errorf("%s: the connection ended with %v", name, err)
				}
			case <-more.C:
				_, _ = other.Write(unknown)
				continue
			case <-wait.C:
				t.Errorf("%s: the connection goes on", name)
			}
			more.Stop()
			break
		}
	}
}

// TestPaddingCarriesNothing: data that are padding alone cost their client no window, and would never end.
func TestPaddingCarriesNothing(t *testing.T) {
	t.Parallel()
	h, arrived, letGo := held()
	addr, _ := serve(t, listen.DefaultConfig(), h)
	conn := dial(t, addr)
	id, err := conn.Open(post(), false)
	if err != nil {
		t.Fatal(err)
	}
	<-arrived
	go func() {
		for err := error(nil); err == nil; {
			_, err = conn.ReadFrame()
		}
	}()
	for began := time.Now(); err == nil && time.Since(began) < 20*time.Second; {
		err = conn.WriteDataPadded(id, false, nil, make([]byte, 255))
	}
	if err == nil {
		t.Error("the connection goes on")
	}
	letGo()
}

// TestEmptyDataOfHTTP3IsRefused, be it the begin of a body or in the midst of it, long before the body is too slow.
func TestEmptyDataOfHTTP3IsRefused(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.BodyStall, cfg.BodyGrace = time.Hour, time.Hour
	_, addr := servePackets(t, cfg, "127.0.0.1:0", func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		_, err := io.Copy(io.Discard, req.Body)
		var fault *wire.MalformedError
		if !errors.As(err, &fault) {
			t.Errorf("the body ended with %v", err)
		}
		_, _ = s.WriteResponse(&message.Response{Status: 408, Length: -1})
	})
	for name, head := range map[string][]streamtest.Field{
		"no length": post(), "a length": append(post(), streamtest.Field{Name: "content-length", Value: "5"}),
	} {
		upload, err := dialQUIC(t, addr).Open(streamtest.Head(head))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = upload.Write(make([]byte, 200)) // 100 frames
			}
		}()
		if n, err := upload.Read(make([]byte, 10)); n == 0 {
			t.Errorf("%s: %v, want an answer", name, err)
		}
	}
}

// TestOneAddressHasFewConnectionsOfHTTP3, since a head that does not end is cut with its connection alone.
func TestOneAddressHasFewConnectionsOfHTTP3(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.MaxConnsPerAddr = 1000
	_, addr := servePackets(t, cfg, "127.0.0.1:0", answers(""))
	for i := range 65 {
		conn := dialQUIC(t, addr)
		got, err := conn.Do(get(), "")
		if err != nil || got.Broken != (i == 64) {
			t.Fatalf("connection %d: %+v, %v", i, got, err)
		}
	}
}

// TestHandshakesOfHTTP3ArePaced: so many a second, and then no more in it.
func TestHandshakesOfHTTP3ArePaced(t *testing.T) {
	t.Parallel()
	allows, now := stream.Paced(3), time.Now()
	for i, want := range []bool{true, true, true, false, false} {
		if got := allows(now.Add(time.Duration(i) * 100 * time.Millisecond)); got != want {
			t.Errorf("handshake %d: allowed %v, want %v", i, got, want)
		}
	}
	if !allows(now.Add(time.Second)) {
		t.Error("the next second: refused")
	}
}
