package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxBody bounds the body of a control request, in bytes.
	maxBody = 4 << 10
	// maxPerson bounds the name in it, in bytes.
	maxPerson = 64
)

// control is the API of the package comment.
type control struct{ *Sandbox }

func (c control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sandbox/code", c.issue(c.IssueCode))
	mux.HandleFunc("POST /sandbox/phone-code", c.issue(c.IssuePhoneCode))
	mux.HandleFunc("POST /sandbox/web-code", c.webCode)
	mux.HandleFunc("POST /sandbox/encrypt", c.encrypt)
	mux.HandleFunc("POST /sandbox/fail", c.fail)
	mux.HandleFunc("POST /sandbox/latency", c.latency)
	mux.HandleFunc("POST /sandbox/clock", c.clock)
	mux.HandleFunc("POST /sandbox/push", c.push)
	mux.HandleFunc("POST /sandbox/push-to", c.pushTo)
	mux.HandleFunc("POST /sandbox/pay", c.notify)
	mux.HandleFunc("GET /sandbox/pay", c.merchantKeys)
	mux.HandleFunc("POST /sandbox/virtual-pay", c.pay)
	mux.HandleFunc("GET /sandbox/stats", func(w http.ResponseWriter, _ *http.Request) { respond(w, c.Stats()) })
	mux.HandleFunc("POST /sandbox/reset", func(w http.ResponseWriter, _ *http.Request) { c.Reset(); done(w) })
	return mux
}

// issue is wx.login, or the press of a button, for curl.
func (c control) issue(from func(person string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Person string `json:"person"`
		}
		if !read(w, r, &body, `{"person":"alice"}`) || !named(w, body.Person) {
			return
		}
		respond(w, map[string]string{"code": from(body.Person)})
	}
}

func (c control) encrypt(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Person string         `json:"person"`
		Kind   string         `json:"kind"`
		Object map[string]any `json:"object"`
	}
	if !read(w, r, &body, `{"person":"alice","kind":"phone"}`) || !named(w, body.Person) {
		return
	}
	if body.Object == nil {
		body.Object = c.Object(body.Kind, body.Person)
	}
	if body.Object == nil {
		refuse(w, "want a kind of phone, werun, share or userinfo, or an object")
		return
	}
	data, err := c.EncryptData(body.Person, body.Object)
	if err != nil {
		refuse(w, err.Error())
		return
	}
	respond(w, data)
}

func (c control) fail(w http.ResponseWriter, r *http.Request) {
	var body Failure
	if !read(w, r, &body, `{"api":"jscode2session","rate":0.2,"kinds":["timeout","-1"],"count":10,"seed":1}`) {
		return
	}
	if err := c.Fail(body); err != nil {
		refuse(w, err.Error())
		return
	}
	done(w)
}

func (c control) latency(w http.ResponseWriter, r *http.Request) {
	var body struct {
		API string `json:"api"`
		MS  int    `json:"ms"`
	}
	if !read(w, r, &body, `{"api":"jscode2session","ms":1500}`) {
		return
	}
	if body.MS < 0 || body.MS > int(maxDelay/time.Millisecond) {
		refuse(w, "want ms from 0 to 60000")
		return
	}
	c.Delay(body.API, time.Duration(body.MS)*time.Millisecond)
	done(w)
}

func (c control) clock(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Advance string `json:"advance"`
	}
	if !read(w, r, &body, `{"advance":"2h"}`) {
		return
	}
	d, err := time.ParseDuration(body.Advance)
	if err != nil {
		refuse(w, `want {"advance":"2h"}, a duration of h, m, s or ms`)
		return
	}
	c.Advance(d)
	done(w)
}

func (c control) push(w http.ResponseWriter, r *http.Request) {
	var body struct {
		URL     string          `json:"url"`
		Message json.RawMessage `json:"message"`
	}
	if !read(w, r, &body, `{"url":"http://127.0.0.1:8080/wechat/push","message":{"MsgType":"event"}}`) {
		return
	}
	if !pushable(w, body.URL) {
		return
	}
	status, answer, err := c.SendPush(r.Context(), body.URL, body.Message)
	if err != nil {
		refuse(w, err.Error())
		return
	}
	respond(w, map[string]any{"status": status, "answer": answer})
}

func (c control) pushTo(w http.ResponseWriter, r *http.Request) {
	var body struct {
		URL string `json:"url"`
	}
	if !read(w, r, &body, `{"url":"http://127.0.0.1:8080/wechat/push"}`) || body.URL != "" && !pushable(w, body.URL) {
		return
	}
	c.PushTo(body.URL)
	done(w)
}

// pay is wx.requestVirtualPayment, for a page of the demo and for curl.
func (c control) pay(w http.ResponseWriter, r *http.Request) {
	var body Payment
	if !read(w, r, &body, `{"person":"alice","mode":"short_series_goods","signData":"…","paySig":"…","signature":"…","push":"http://127.0.0.1:8080/wechat/push"}`) ||
		!named(w, body.Person) || body.Push != "" && !pushable(w, body.Push) {
		return
	}
	respond(w, c.Pay(body))
}

// pushable reports whether messages may be pushed to an address, or says why not.
func pushable(w http.ResponseWriter, address string) bool {
	target, err := url.Parse(address)
	if err != nil || target.Scheme != "http" || loopbackOnly(target.Host) != nil {
		refuse(w, "want an http url with a loopback host and a port: the sandbox pushes to nobody else over HTTP")
		return false
	}
	return true
}

// read decodes the body, or says with an example what it should have been.
func read(w http.ResponseWriter, r *http.Request, to any, example string) bool {
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		refuse(w, "want a body like "+example+", of at most 4 KiB")
		return false
	}
	return true
}

func named(w http.ResponseWriter, person string) bool {
	if person == "" || len(person) > maxPerson {
		refuse(w, fmt.Sprintf("want a person of 1 to %d bytes", maxPerson))
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, why string) { http.Error(w, why, http.StatusBadRequest) }

func done(w http.ResponseWriter) { respond(w, map[string]bool{"ok": true}) }

func respond(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that went away misses it
}
