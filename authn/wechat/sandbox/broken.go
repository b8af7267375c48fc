package sandbox

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"wxgate/authn/wechat"
)

// hugeBody is above every limit of a sane client, in bytes.
const hugeBody = 1 << 20

// breakAnswer spoils the answer in one of the ways that Broken lists. bom is the one that a client must still understand.
func breakAnswer(w http.ResponseWriter, how string, session map[string]any) {
	good, _ := json.Marshal(session)
	if !spoil(w, how, good) {
		breakMember(w, how, session)
	}
}

// spoil breaks any answer at all, and reports whether it knows how.
func spoil(w http.ResponseWriter, how string, good []byte) bool {
	switch how {
	case "html":
		w.Header().Set("Content-Type", "text/html")
		send(w, "<html><body><h1>504 Gateway Time-out</h1></body></html>")
	case "502":
		w.WriteHeader(http.StatusBadGateway)
		send(w, string(good))
	case "half":
		send(w, string(good[:len(good)/2]))
	case "empty":
		send(w, "")
	case "notjson":
		send(w, "openid=o123&session_key=abc")
	case "trailing":
		send(w, string(good)+"garbage")
	case "huge":
		send(w, `{"padding":"`+strings.Repeat("x", hugeBody)+`"}`)
	case "bom":
		send(w, "\uFEFF"+string(good))
	case "cut":
		cut(w, good)
	case "reset":
		reset(w)
	default:
		return false
	}
	return true
}

// breakMember spoils one member of the session.
func breakMember(w http.ResponseWriter, how string, session map[string]any) {
	switch how {
	case "noopenid":
		delete(session, "openid")
	case "emptyopenid":
		session["openid"] = ""
	case "nokey":
		delete(session, "session_key")
	case "emptykey":
		session["session_key"] = ""
	case "badkey":
		session["session_key"] = "bm90IDE2IGJ5dGVz" // 12 bytes
	default:
		writeError(w, wechat.ErrCodeInvalidCode, false)
		return
	}
	write(w, session)
}

// Broken lists the ways of breakAnswer, for tests that try them all; each is asked for with the code broken-<way>.
func Broken() []string {
	return []string{
		"html", "502", "half", "empty", "notjson", "trailing", "huge", "bom", "cut", "reset",
		"noopenid", "emptyopenid", "nokey", "emptykey", "badkey",
	}
}

// send writes a body; a client that went away misses it.
func send(w http.ResponseWriter, body string) { _, _ = w.Write([]byte(body)) }

// cut promises the whole answer and closes the connection halfway.
func cut(w http.ResponseWriter, good []byte) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write(good[:len(good)/2])
	_ = http.NewResponseController(w).Flush() // or the panic would take the half back
	panic(http.ErrAbortHandler)               // net/http's way to close without finishing; it logs nothing
}

// reset closes the connection with a TCP RST and no answer.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // a connection that cannot be hijacked is at least cut
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
