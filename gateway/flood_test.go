package gateway

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"wxgate/gateway/stream/streamtest"
	"wxgate/upstream/upstreamtest"
)

// TestFloodsOfFramesEndTheirConnection sends frames that ask for work and carry nothing; others are served meanwhile.
func TestFloodsOfFramesEndTheirConnection(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	version := e.versions(t)[0]
	get := []streamtest.Field{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/public/x"}, {Name: ":authority", Value: "h"}}
	for name, flood := range map[string]func(c *streamtest.Conn) error{
		"pings":    func(c *streamtest.Conn) error { return c.WritePing(false, [8]byte{}) },
		"acks":     func(c *streamtest.Conn) error { return c.WritePing(true, [8]byte{}) },
		"settings": func(c *streamtest.Conn) error { return c.WriteSettings() },
		"priorities": func(c *streamtest.Conn) error {
			return c.WritePriority(1, http2.PriorityParam{Weight: 1})
		},
		"windows": func(c *streamtest.Conn) error { return c.WriteWindowUpdate(0, 1) },
		"unknown": func(c *streamtest.Conn) error { return c.WriteRawFrame(0x42, 0, 0, nil) },
		"resets": func(c *streamtest.Conn) error {
			stream, err := c.Open(get, true)
			if err != nil {
				return err
			}
			return c.WriteRSTStream(stream, http2.ErrCodeCancel)
		},
		"resets that we cause": func(c *streamtest.Conn) error {
			stream, err := c.Open(get, false)
			if err != nil {
				return err
			}
			return c.WriteWindowUpdate(stream, 0)
		},
		"empty data": func(c *streamtest.Conn) error { return c.WriteData(1, false, nil) },
		"continuations": func(c *streamtest.Conn) error {
			return c.WriteContinuation(1, false, nil)
		},
	} {
		conn, err := streamtest.Dial(version.address)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = conn.ReadFrame() // or the server could not write
			}
		}()
		switch name {
		case "empty data":
			_, err = conn.Open(get, false)
		case "continuations":
			err = conn.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: conn.Block(get)})
		}
		sent := 0
		for began := time.Now(); err == nil && time.Since(began) < 20*time.Second; sent++ {
			err = flood(conn)
		}
		if err == nil {
			t.Errorf("%s: %d frames were taken", name, sent)
		}
		t.Logf("%s: %d frames", name, sent)
		_ = conn.Close()
		if got := version.send(t, head("GET /public/x", "")); got.Status != 200 {
			t.Errorf("after %s: %d", name, got.Status)
		}
	}
}

// TestAClientThatFetchesMuchIsNoFlood: it says of each frame that it has room for another.
func TestAClientThatFetchesMuchIsNoFlood(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n"+string(make([]byte, 8<<20)))
	e := newEdge(t, service.URL, nil)
	for _, v := range e.versions(t) {
		if got := v.send(t, head("GET /public/x", "")); got.Status != 200 || len(got.Body) != 8<<20 {
			t.Errorf("%s: got %d and %d bytes, want 8 MiB", v.name, got.Status, len(got.Body))
		}
	}
}
