package recipes

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const png = "\x89PNG\x0D\x0A\x1A\x0A and pixels"

// form is a multipart body with one file, and its content type.
func form(t *testing.T, field, content string) (body, contentType string) {
	t.Helper()
	var buffer bytes.Buffer
	writer := multipart.NewWriter(&buffer)
	file, err := writer.CreateFormFile(field, "avatar.png")
	if err == nil {
		_, err = file.Write([]byte(content))
	}
	if err != nil || writer.Close() != nil {
		t.Fatal(err)
	}
	return buffer.String(), writer.FormDataContentType()
}

// send uploads content as user 7 of a client that reached the gateway at https://gw.example.
func (k kitchen) send(field, content string) answer {
	k.t.Helper()
	body, contentType := form(k.t, field, content)
	return k.call("POST", "/api/v1/uploads", body, "X-User-Id: 7", "Content-Type: "+contentType,
		"X-Forwarded-Proto: https", "X-Forwarded-Host: gw.example")
}

func (k kitchen) fetch(path string) *httptest.ResponseRecorder {
	k.t.Helper()
	recorder := httptest.NewRecorder()
	k.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(k.t.Context(), "GET", path, nil))
	return recorder
}

func TestAnUploadedPictureIsServedUnderTheAddressOfTheGateway(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	url := data[map[string]string](t, k.send("file", png))["url"]
	path, ours := strings.CutPrefix(url, "https://gw.example")
	if !ours || !strings.HasPrefix(path, "/uploads/") {
		t.Fatalf("got %s, want https://gw.example/uploads/…", url)
	}
	got := k.fetch(path)
	if got.Body.String() != png || got.Header().Get("Content-Type") != "image/png" || got.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %q with %v, want the picture as image/png", got.Body, got.Header())
	}
}

func TestAnUploadThatIsNoPictureIsRefused(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	for _, c := range []struct {
		field, content, reason string
		status                 int
	}{
		{"file", "<html><script>alert(1)</script>", "not_a_picture", 415},
		{"file", "<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_picture", 415},
		{"other", png, "invalid_request", 400},
		{"file", png + strings.Repeat("x", largestPicture), "body_too_large", 413},
		{"file", png + strings.Repeat("x", largestPicture*2), "body_too_large", 413},
	} {
		if got := k.send(c.field, c.content); got.status != c.status || got.Reason != c.reason {
			t.Errorf("got %d %s, want %d %s, for %.40q as %s", got.status, got.Reason, c.status, c.reason, c.content, c.field)
		}
	}
	if got := k.call("POST", "/api/v1/uploads", ""); got.Reason != "identity_missing" {
		t.Errorf("got %s, want identity_missing, for nobody", got.Reason)
	}
}

func TestTheAlbumKeepsTheNewestPictures(t *testing.T) {
	t.Parallel()
	k := newKitchen(t)
	var urls []string
	for range mostPictures + 1 {
		urls = append(urls, strings.TrimPrefix(data[map[string]string](t, k.send("file", png))["url"], "https://gw.example"))
	}
	for i, want := range map[int]int{0: http.StatusNotFound, 1: http.StatusOK, mostPictures: http.StatusOK} {
		if got := k.fetch(urls[i]).Code; got != want {
			t.Errorf("got %d, want %d, for upload %d of %d", got, want, i+1, len(urls))
		}
	}
}
