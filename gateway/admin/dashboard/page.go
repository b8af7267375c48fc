// Package dashboard is the page on the admin listener by which an operator watches and works a gateway: the files of the page,
// who is signed in, and what is shown. What may be done with a session is decided by package admin.
package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed dist
var dist embed.FS

// securityPolicy lets the page have scripts and styles of its own alone, ask nobody but this listener, stand in no frame, and
// never make elements of text: its scripts cannot, wherever browsers know trusted types.
const securityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Page serves the files of the page, which hold no data of the gateway. It is safe for concurrent use.
type Page struct{ files map[string]file }

// file is a file of the page as it is answered.
type file struct {
	contentType string
	etag        string
	plain       []byte
	zipped      func() []byte // with gzip, made when somebody first takes it; nil where that is no shorter
}

// NewPage reads the files that are in the program.
func NewPage() (*Page, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return newPage(files)
}

func newPage(from fs.FS) (*Page, error) {
	p := &Page{map[string]file{}}
	err := fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		if err == nil {
			p.files[name], err = newFile(name, content)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the page of the dashboard: %w", err)
	}
	return p, nil
}

// contentTypes are those of what a page is made of. Those that the system knows differ from one machine to the next.
func contentTypes() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
		".svg": "image/svg+xml", ".png": "image/png", ".txt": "text/plain; charset=utf-8", ".webmanifest": "application/manifest+json",
	}
}

func newFile(name string, content []byte) (f file, err error) {
	known := false
	if f.contentType, known = contentTypes()[path.Ext(name)]; !known {
		return f, fmt.Errorf("%s: no content type is known for it", name)
	}
	sum := sha256.Sum256(content)
	f.etag, f.plain = `"`+hex.EncodeToString(sum[:12])+`"`, content
	f.zipped = sync.OnceValue(func() []byte { return zip(content) })
	return f, nil
}

func zip(content []byte) []byte {
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil
	}
	_, _ = z.Write(content) // a buffer takes all, as in Close
	_ = z.Close()
	if zipped.Len() >= len(content) {
		return nil
	}
	return zipped.Bytes()
}

// Serve answers with a file, "index.html" or the name behind /dashboard/, and reports whether there is one.
func (p *Page) Serve(w http.ResponseWriter, r *http.Request, name string) (found bool) {
	f, found := p.files[name]
	if !found {
		return false
	}
	h := w.Header()
	h.Set("Content-Security-Policy", securityPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache") // a new gateway has a new page: the ETag is compared each time
	h.Set("Vary", "Accept-Encoding")
	etag, body := f.etag, f.plain
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		if zipped := f.zipped(); zipped != nil {
			etag, body = strings.TrimSuffix(f.etag, `"`)+`-gzip"`, zipped
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the browser has left: there is nobody to tell
	return true
}

// acceptsGzip reports whether an Accept-Encoding names gzip and does not refuse it (RFC 9110 §12.5.3).
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		q, weighted := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		value, err := strconv.ParseFloat(q, 64)
		return !weighted || err == nil && value > 0
	}
	return false
}
