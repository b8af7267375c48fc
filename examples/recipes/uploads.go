package recipes

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const (
	largestPicture = 2 << 20
	mostPictures   = 32
)

// picture is an uploaded file of a kind that a browser shows and never runs.
type picture struct {
	name string
	kind string
	data []byte
}

// album keeps the newest pictures.
type album struct {
	mu       sync.Mutex
	pictures []picture
}

// upload takes the field "file" of a multipart form, as wx.uploadFile sends it.
func (s *service) upload(w http.ResponseWriter, r *http.Request) (any, error) {
	if _, err := caller(r); err != nil {
		return nil, err
	}
	data, err := readPicture(w, r)
	if err != nil {
		return nil, err
	}
	kind := http.DetectContentType(data)
	extension, allowed := strings.CutPrefix(kind, "image/")
	if !allowed || !slices.Contains([]string{"png", "jpeg", "gif", "webp"}, extension) {
		return nil, problem{http.StatusUnsupportedMediaType, "not_a_picture", "只支持 PNG、JPEG、GIF、WebP 图片"}
	}
	p := picture{rand.Text() + "." + extension, kind, data}
	s.album.add(p)
	return map[string]string{"url": publicOrigin(r) + "/uploads/" + p.name}, nil
}

func readPicture(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, largestPicture+4<<10) // the form has a little text around the file
	file, header, err := r.FormFile("file")
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) || err == nil && header.Size > largestPicture {
		return nil, problem{http.StatusRequestEntityTooLarge, "body_too_large", "图片太大，最大 2 MB"}
	}
	if err != nil {
		return nil, invalid("表单中没有 file")
	}
	defer r.MultipartForm.RemoveAll() //nolint:errcheck // what lies in the temporary folder of the system is its business
	return io.ReadAll(file)
}

// publicOrigin is how the client reached the gateway, which alone can reach us.
func publicOrigin(r *http.Request) string {
	scheme, host := r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host")
	if scheme == "" || host == "" {
		scheme, host = "http", r.Host
	}
	return scheme + "://" + host
}

// picture answers with the bytes alone: an <image> cannot read an envelope, and sends no token.
func (s *service) picture(w http.ResponseWriter, r *http.Request) {
	p, found := s.album.get(r.PathValue("name"))
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", p.kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(p.data) // the client has gone; there is nobody to tell
}

func (a *album) add(p picture) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pictures) == mostPictures {
		a.pictures = slices.Delete(a.pictures, 0, 1)
	}
	a.pictures = append(a.pictures, p)
}

func (a *album) get(name string) (picture, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.pictures, func(p picture) bool { return p.name == name })
	if i < 0 {
		return picture{}, false
	}
	return a.pictures[i], true
}
