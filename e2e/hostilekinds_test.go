package e2e

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// attacker is somebody who means harm, for as long as ctx lasts.
type attacker struct {
	*hostile
	ctx  context.Context
	sent *atomic.Int64
}

// attack is one kind of attack.
type attack struct {
	kind  string
	run   func(*attacker)
	brief bool // it is also run, for a moment, where nobody asks for more
}

// attacks are all kinds.
func attacks() []attack {
	half := strings.Repeat("x", 527)
	post := func(path, headers string) string { return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + headers }
	return []attack{
		{"half-sent logins", func(a *attacker) {
			a.hold(1000, a.saying(post("/api/v1/auth/wx-login", "Content-Length: 600\r\n"), half))
		}, true},
		{"half-sent, open route", func(a *attacker) { a.hold(1000, a.saying(post("/open/api/sink", "Content-Length: 600\r\n"), half)) }, false},
		{"half-sent pushes", func(a *attacker) {
			a.hold(1000, a.saying(post("/wechat/push?signature=1", "Content-Length: 600\r\n"), half))
		}, false},
		{"half-sent, a user", func(a *attacker) { a.hold(1000, a.asUser(post("/api/sink", "Content-Length: 600\r\n"), half)) }, false},
		{"half-sent uploads", func(a *attacker) { a.hold(1000, a.asUser(post("/api/sink", "Content-Length: 1000000\r\n"), half)) }, true},
		{"half-sent, many addresses", func(a *attacker) {
			a.hold(1000, a.fromMany(post("/open/api/sink", "Content-Length: 1000000\r\n"), half))
		}, false},
		{"slow bodies", func(a *attacker) { a.hold(100, a.slowBody) }, false},
		{"idle WebSockets", func(a *attacker) { a.hold(600, a.asUser("GET /api/socket HTTP/1.1\r\nHost: a\r\n"+upgradeFields, "")) }, true},
		{"slow readers", func(a *attacker) { a.hold(600, a.asUser("GET /api/endless HTTP/1.1\r\nHost: a\r\n", "")) }, false},
		{"slow heads", func(a *attacker) { a.hold(1000, a.slowHead) }, false},
		{"silent connections", func(a *attacker) { a.hold(2000, func(net.Conn) error { a.sent.Add(1); return nil }) }, false},
		{"short connections", func(a *attacker) { a.storm(16, a.connectAndLeave) }, false},
		{"idle admin connections", (*attacker).holdAdmin, false},
		{"a flood of requests", func(a *attacker) { a.storm(128, a.asks("GET", "/api/v1/recipes", nil)) }, false},
		{"refreshes", func(a *attacker) { a.storm(16, a.asks("POST", "/api/v1/auth/refresh", nil)) }, false},
		{"spellings of a token", func(a *attacker) { a.storm(16, a.spellToken) }, false},
		{"new sessions", func(a *attacker) { a.storm(8, a.newSession) }, false},
		{"guesses of a phone number", func(a *attacker) { a.storm(16, a.guess) }, false},
		{"pre-fetches", func(a *attacker) { a.storm(16, a.prefetch) }, false},
		{"wrong logins", func(a *attacker) { a.storm(16, a.wrongLogin) }, false},
		{"many fields", func(a *attacker) { a.storm(16, a.raw(strings.Repeat("X-A: b\r\n", 200))) }, false},
		{"long paths", func(a *attacker) { a.storm(16, a.asks("GET", "/api/v1/"+strings.Repeat("a", 15<<10), nil)) }, false},
		{"large cookies", func(a *attacker) {
			a.storm(16, a.asks("GET", "/api/v1/recipes", func() []string { return []string{"Cookie", strings.Repeat("c", 14<<10)} }))
		}, false},
		{"a body that a service ignores", func(a *attacker) { a.storm(16, a.smuggle) }, false},
	}
}

const upgradeFields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// hold keeps n connections open, on each of which something was said. One that is closed is opened again.
func (a *attacker) hold(n int, say func(net.Conn) error) { a.holdAt(a.url, n, say) }

func (a *attacker) holdAt(url string, n int, say func(net.Conn) error) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for a.ctx.Err() == nil {
				a.holdOne(url, say)
				a.pause(100 * time.Millisecond)
			}
		})
	}
	all.Wait()
}

func (a *attacker) holdOne(url string, say func(net.Conn) error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(a.ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(a.ctx, func() { _ = conn.Close() })()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if say(conn) != nil {
		return
	}
	read := make([]byte, 1<<10)
	for { // slower than an honest reader, and faster than the slowest that is let live
		if _, err := conn.Read(read); err != nil || !a.pause(700*time.Millisecond) {
			return
		}
	}
}

func (a *attacker) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (a *attacker) saying(head, body string) func(net.Conn) error {
	return func(conn net.Conn) error { return a.say(conn, head, attackerAddress, body) }
}

func (a *attacker) asUser(head, body string) func(net.Conn) error {
	return a.saying(head+"Authorization: Bearer "+a.user+"\r\n", body)
}

func (a *attacker) fromMany(head, body string) func(net.Conn) error {
	return func(conn net.Conn) error { return a.say(conn, head, manyAddresses(), body) }
}

func manyAddresses() string { return fmt.Sprintf("192.0.%d.%d", rand.IntN(250), 1+rand.IntN(250)) }

func (a *attacker) say(conn net.Conn, head, address, body string) error {
	a.sent.Add(1)
	_, err := io.WriteString(conn, head+"X-Forwarded-For: "+address+"\r\n\r\n"+body)
	return err
}

// slowBody uploads just fast enough, to a route that does not wait for long.
func (a *attacker) slowBody(conn net.Conn) error {
	err := a.asUser("POST /quick/api/sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n", "")(conn)
	for err == nil && a.pause(200*time.Millisecond) {
		_, err = io.WriteString(conn, strings.Repeat("x", 300))
	}
	return err
}

// slowHead sends a head a byte at a time.
func (a *attacker) slowHead(conn net.Conn) error {
	a.sent.Add(1)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nX-A: ")
	for err == nil && a.pause(500*time.Millisecond) {
		_, err = io.WriteString(conn, "a")
	}
	return err
}

func (a *attacker) connectAndLeave() {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(a.ctx, "tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		return
	}
	a.sent.Add(1)
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
	_ = conn.Close()
}

func (a *attacker) holdAdmin() {
	a.holdAt(a.admin, 1100, func(net.Conn) error { a.sent.Add(1); return nil })
}

// storm repeats something as fast as n at a time can.
func (a *attacker) storm(n int, once func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for a.ctx.Err() == nil {
				once()
			}
		})
	}
	all.Wait()
}

// ask sends a request of the attacker's.
func (a *attacker) ask(method, path, token, body string, headers ...string) (answer, error) {
	a.sent.Add(1)
	return a.tryWith(a.client, method, path, token, body, append(headers, "X-Forwarded-For", attackerAddress)...)
}

func (a *attacker) asks(method, path string, headers func() []string) func() {
	return func() {
		var more []string
		if headers != nil {
			more = headers()
		}
		_, _ = a.ask(method, path, a.user, "", more...)
	}
}

func (a *attacker) spellToken() {
	blanks := make([]string, 200)
	for i := range blanks {
		blanks[i] = []string{" ", "\t", "\u00a0", "\u0085"}[rand.IntN(4)]
	}
	_, _ = a.ask("GET", "/api/v1/recipes", "", "", "Authorization", "Bearer "+strings.Join(blanks[:100], "")+a.user+strings.Join(blanks[100:], ""))
}

// newSession logs in again and again, and lists what that made.
func (a *attacker) newSession() {
	body := fmt.Sprintf(`{"code":%q}`, a.weChat.IssueCode("mallory"))
	a.sent.Add(1)
	_, _ = a.tryWith(a.client, "POST", "/api/v1/auth/wx-login", "", body, "X-Forwarded-For", manyAddresses())
	_, _ = a.ask("GET", "/api/v1/auth/sessions", a.user, "")
}

// guess asks for the opening of data that it made up.
func (a *attacker) guess() {
	data := make([]byte, 64)
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	text := base64.StdEncoding.EncodeToString(data)
	_, _ = a.ask("POST", "/api/v1/auth/decrypt", a.user, fmt.Sprintf(`{"encryptedData":%q,"iv":%q}`, text, text[:22]+"=="))
}

func (a *attacker) prefetch() {
	_, _ = a.ask("GET", fmt.Sprintf("/prefetch?appid=%s&code=%d", appID, rand.Int64()), "", "")
}

func (a *attacker) wrongLogin() {
	_, _ = a.ask("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":"%d"}`, rand.Int64()))
}

// raw sends fields that net/http would join or refuse.
func (a *attacker) raw(fields string) func() {
	return func() {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(a.ctx, "tcp", strings.TrimPrefix(a.url, "http://"))
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if a.say(conn, "GET /api/v1/recipes HTTP/1.1\r\nHost: a\r\n"+fields, attackerAddress, "") == nil {
			_, _ = bufio.NewReader(conn).ReadString('\n')
		}
	}
}

// smuggle hides a request in a body that the service does not read: to whom does its answer go?
func (a *attacker) smuggle() {
	hidden := "GET /ignoring/stolen HTTP/1.1\r\nHost: a\r\nX-User-Id: 1\r\n\r\n"
	_, _ = a.ask([]string{"POST", "DELETE", "GET"}[rand.IntN(3)], "/ignoring/x", a.user, hidden)
}

// ignoreAllBodies answers as soon as it has read a head, says in the answer which path it was asked for, and takes for the
// next request whatever comes then: so do Python's http.server and its like.
func ignoreAllBodies(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go ignoreBodies(conn)
	}
}

func ignoreBodies(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		path := req.URL.Path
		closes := req.Header.Get("Connection") == "close" || req.Close
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(path), path); err != nil || closes {
			return
		}
	}
}
