package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"

	"wxgate/authn/wechat"
)

// The errcodes of media, codes and templates, from the page "全局返回码".
const (
	errcodeMediaType  = 40004
	errcodeMediaID    = 40007
	errcodeScene      = 40129
	errcodeNoMedia    = 41005
	errcodePage       = 41030
	errcodeWantsGET   = 43001
	errcodeWantsPOST  = 43002
	errcodeEmptyMedia = 44001
	errcodeMediaSize  = 45001
)

const (
	maxMedia  = 10 << 20 // bytes of one upload, as with WeChat
	mostMedia = 8        // uploads that are remembered
)

// medium is an upload of /cgi-bin/media/upload.
type medium struct {
	id, kind, contentType string
	content               []byte
}

// media keeps the last uploads.
type media struct {
	mu   sync.Mutex
	kept []medium
}

func (m *media) add(one medium) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == mostMedia {
		m.kept = m.kept[1:]
	}
	m.kept = append(m.kept, one)
}

func (m *media) find(id string) (medium, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.kept {
		if one.id == id {
			return one, true
		}
	}
	return medium{}, false
}

// uploadMedia is the page "uploadTempMedia": one part that is called media.
func (a *api) uploadMedia(w http.ResponseWriter, r *http.Request) {
	kind := r.URL.Query().Get("type")
	one, errcode := readMedium(r)
	switch {
	case !slices.Contains([]string{"image", "voice", "video", "thumb"}, kind):
		errcode = errcodeMediaType
	case errcode == wechat.CodeOK && len(one.content) == 0:
		errcode = errcodeEmptyMedia
	case len(one.content) > maxMedia:
		errcode = errcodeMediaSize
	}
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	one.id, one.kind = "media_"+randomHex(), kind
	b := a.backend()
	b.media.add(one)
	write(w, map[string]any{"type": kind, "media_id": one.id, "created_at": b.clock.now().Unix()})
}

// readMedium reads the part.
func readMedium(r *http.Request) (one medium, errcode int) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return one, errcodeNoMedia
	}
	part, err := multipart.NewReader(r.Body, parameters["boundary"]).NextPart()
	if err != nil || part.FormName() != "media" || part.FileName() == "" {
		return one, errcodeNoMedia
	}
	one.contentType = part.Header.Get("Content-Type")
	if one.content, err = io.ReadAll(part); err != nil {
		return one, errcodeNoMedia
	}
	return one, wechat.CodeOK
}

// getMedia is the page "getTempMedia": a file, or an address of a video.
func (a *api) getMedia(w http.ResponseWriter, r *http.Request) {
	one, found := a.backend().media.find(r.URL.Query().Get("media_id"))
	switch {
	case !found:
		writeError(w, errcodeMediaID, false)
	case one.kind == "video":
		write(w, map[string]any{"video_url": "http://video.sandbox.example/" + one.id})
	default:
		w.Header().Set("Content-Type", one.contentType)
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", one.id))
		_, _ = w.Write(one.content)
	}
}

// unlimitedCode is the page "getUnlimitedQRCode": a picture, or JSON that says why not.
func unlimitedCode(w http.ResponseWriter, r *http.Request) {
	body := struct {
		Scene string `json:"scene"`
		Page  string `json:"page"`
		Width int    `json:"width"`
	}{Width: 430}
	text, err := io.ReadAll(r.Body)
	switch {
	case err != nil || json.Unmarshal(text, &body) != nil:
		writeError(w, wechat.ErrCodeMalformedBody, false)
	case !validScene(body.Scene):
		writeError(w, errcodeScene, false)
	case strings.HasPrefix(body.Page, "/"), strings.Contains(body.Page, "?"):
		writeError(w, errcodePage, false)
	case body.Width < 280 || body.Width > 1280:
		writeError(w, wechat.ErrCodeInvalidParameter, false)
	default:
		picture(w, r)
	}
}

// validScene reports whether a code may carry a scene.
func validScene(scene string) bool {
	const others = "!#$&'()*+,/:;=?@-._~"
	odd := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(others, r)
	}
	return scene != "" && len(scene) <= 32 && !strings.ContainsFunc(scene, odd)
}

// templates are the APIs below /wxaapi/newtmpl: each takes one method.
func templates(w http.ResponseWriter, r *http.Request) {
	changes := r.PathValue("name") == "addtemplate" || r.PathValue("name") == "deltemplate"
	switch {
	case changes && r.Method != http.MethodPost:
		writeError(w, errcodeWantsPOST, false)
	case !changes && r.Method != http.MethodGet:
		writeError(w, errcodeWantsGET, false)
	case r.PathValue("name") == "gettemplate":
		writeOK(w, map[string]any{"data": []map[string]any{{
			"priTmplId": "sandbox-template", "title": "烹饪提醒", "content": "菜谱:{{thing1.DATA}}\n时间:{{time2.DATA}}\n", "example": "菜谱:红烧肉\n", "type": 2,
		}}})
	default:
		echo(w, r)
	}
}
