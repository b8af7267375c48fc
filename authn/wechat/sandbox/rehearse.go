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
	// maxRequest bounds the body of a call, in bytes.
	maxRequest = 1 << 20
	// maxHold is how long a call that fails by timeout is held when the client does not give up.
	maxHold = 60 * time.Second
)

// rehearse counts a call, delays it and lets it fail as the rules say. A failure that is an errcode happens before the
// call is executed, so that a code is not spent; every other one after it, when nobody but we know what became of it.
func (s *Sandbox) rehearse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			http.Error(w, "the body is too long or broken", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		api, state := path.Base(r.URL.Path), s.state.Load()
		book, code := state.codeOf(api, r, body)
		if code != "" {
			book.count(code)
		}
		fate := state.rules.fate(api)
		state.counts.call(api, fate.kind != "")
		if !s.wait(r, fate.delay) {
			return // nothing was done, and no code is spent
		}
		errcode, isErrcode := errcodeKind(fate.kind)
		switch {
		case fate.kind == "":
			next.ServeHTTP(w, r)
		case isErrcode:
			writeError(w, errcode, false)
		default:
			s.lose(w, r, next, fate.kind, func() {
				if code != "" {
					book.lose(code)
				}
			})
		}
	})
}

// lose executes the call, notes that its answer is lost, and answers something else.
func (s *Sandbox) lose(w http.ResponseWriter, r *http.Request, next http.Handler, kind string, note func()) {
	kept := &keeper{header: http.Header{}}
	next.ServeHTTP(kept, r)
	note()
	if kind != kindTimeout {
		spoil(w, kind, kept.body.Bytes())
		return
	}
	s.wait(r, maxHold)
	panic(http.ErrAbortHandler)
}

// codeOf returns the code in a call, and the ledger in which it is.
func (w *world) codeOf(api string, r *http.Request, body []byte) (*ledger, string) {
	switch api {
	case "jscode2session":
		return w.codes, r.URL.Query().Get("js_code")
	case "getuserphonenumber":
		var phone struct {
			Code string `json:"code"`
		}
		_ = json.Unmarshal(body, &phone) // broken JSON has no code, and is answered later
		return w.phones, phone.Code
	}
	return nil, ""
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
