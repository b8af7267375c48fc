package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strconv"
	"time"
)

const (
	// maxRequest bounds the body of a call, in bytes: the largest is an upload.
	maxRequest = maxMedia + 1<<20
	// maxHold is how long a call that fails by timeout is held when the client does not give up.
	maxHold = 60 * time.Second
)

// rehearse counts a call, delays it and lets it fail as the rules say. A failure that is an errcode happens before the
// call is executed, so that a code is not spent; every other one after it, when nobody but we know what became of it.
func (a *api) rehearse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			http.Error(w, "the body is too long or broken", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a.answer(w, r, next, path.Base(r.URL.Path), body)
	})
}

// answer lets one call meet its outcome.
func (a *api) answer(w http.ResponseWriter, r *http.Request, next http.Handler, name string, body []byte) {
	b := a.backend()
	book, code := b.codeOf(name, r, body)
	book.count(code)
	defer book.answered(code)
	outcome := b.rules.next(name)
	b.counts.call(name, outcome.kind != "")
	stayed := a.wait(r, outcome.delay)
	errcode, isErrcode := errcodeKind(outcome.kind)
	switch {
	case isErrcode:
		writeError(w, errcode, false)
	case outcome.kind == "" && stayed:
		next.ServeHTTP(w, r)
	default: // a client that left does not know what became of it either
		kept := &keeper{header: http.Header{}}
		next.ServeHTTP(kept, r)
		book.lose(code)
		a.mislead(w, r, outcome.kind, kept.body.Bytes())
	}
}

// mislead answers something else than good, or nothing.
func (a *api) mislead(w http.ResponseWriter, r *http.Request, kind string, good []byte) {
	if spoil(w, kind, good) {
		return
	}
	a.wait(r, maxHold) // kindTimeout
	panic(http.ErrAbortHandler)
}

// codeOf returns the code in a call, and the ledger in which it is. Calls without a code share the empty one of a ledger
// that nobody reads.
func (b *backend) codeOf(api string, r *http.Request, body []byte) (*ledger, string) {
	switch api {
	case "jscode2session":
		return b.codes, r.URL.Query().Get("js_code")
	case "access_token":
		return b.webs.ledger, r.URL.Query().Get("code")
	case "getuserphonenumber":
		var phone struct {
			Code string `json:"code"`
		}
		_ = json.Unmarshal(body, &phone) // broken JSON has no code, and is answered later
		return b.phones, phone.Code
	}
	return b.none, ""
}

// errcodeKind reads a failure that is an errcode. 502 is none: it is a status.
func errcodeKind(kind string) (int, bool) {
	errcode, err := strconv.Atoi(kind)
	return errcode, err == nil && kind != "502"
}

// keeper keeps an answer instead of sending it.
type keeper struct {
	header http.Header
	body   bytes.Buffer
}

func (k *keeper) Header() http.Header         { return k.header }
func (k *keeper) Write(b []byte) (int, error) { return k.body.Write(b) }
func (k *keeper) WriteHeader(int)             {}
