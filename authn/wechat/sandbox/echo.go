package sandbox

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net/http"
)

// echo answers what arrived, without the token, so that a test sees what was forwarded.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // rehearse has read it before
	query := r.URL.Query()
	query.Del("access_token")
	writeOK(w, map[string]any{"echo": map[string]any{
		"method": r.Method, "path": r.URL.Path, "query": query, "content_type": r.Header.Get("Content-Type"), "body": string(body),
	}})
}

// picture is the page "getQRCode": success is no JSON.
func picture(w http.ResponseWriter, _ *http.Request) {
	dot := image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black})
	var file bytes.Buffer
	_ = png.Encode(&file, dot) // into memory, one point
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(file.Bytes())
}

// writeOK writes members beside the errcode 0 that the APIs with a token answer.
func writeOK(w http.ResponseWriter, members map[string]any) {
	answer := map[string]any{"errcode": 0, "errmsg": "ok"}
	maps.Copy(answer, members)
	write(w, answer)
}
