package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"wxgate/authn/wechat"
)

// The errcodes of the pages "msgSecCheck" and "mediaCheckAsync".
const (
	errcodeNoDownload   = -1008 // of a result that is pushed
	errcodeForeignUser  = 43104
	errcodeInactiveUser = 61010
)

const (
	maxPushes   = 3
	maxContent  = 2500 // characters
	activeFor   = 2 * time.Hour
	contentV2   = 2
	mediaAudio  = 1
	mediaImage  = 2
	labelNormal = 100
	labelPorn   = 20002
	labelOther  = 21000
)

// contentBody are the members of both checks.
type contentBody struct {
	Version   int    `json:"version"`
	OpenID    string `json:"openid"`
	Scene     int    `json:"scene"`
	Content   string `json:"content"`
	Title     string `json:"title"`
	Nickname  string `json:"nickname"`
	Signature string `json:"signature"`
	MediaURL  string `json:"media_url"`
	MediaType int    `json:"media_type"`
}

// readContent reads a body, which rehearse has read before, and returns it as it was too.
func readContent(r *http.Request) (body contentBody, text io.ReadCloser) {
	content, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(content, &body) // what is no JSON has no version
	return body, io.NopCloser(bytes.NewReader(content))
}

// moderator checks what people write and show.
type moderator struct {
	backend func() *backend
	push    func(address string, message []byte) // in the background
}

// checkText is the page "msgSecCheck". Calls of version 1, which has ended, are echoed.
func (m moderator) checkText(w http.ResponseWriter, r *http.Request) {
	body, text := readContent(r)
	if body.Version != contentV2 {
		r.Body = text
		echo(w, r)
		return
	}
	errcode := m.fault(body)
	if n := utf8.RuneCountInString(body.Content); errcode == wechat.CodeOK && (n == 0 || n > maxContent) {
		errcode = wechat.ErrCodeEmptyBody
	}
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	suggest, label := judge(body.Content + body.Title + body.Nickname + body.Signature)
	writeOK(w, map[string]any{
		"trace_id": newRequestID(), "result": map[string]any{"suggest": suggest, "label": label},
		"detail": []map[string]any{{"strategy": "content_model", "errcode": 0, "suggest": suggest, "label": label, "prob": 90}},
	})
}

// checkMedia is the page "mediaCheckAsync". The result is pushed to the address of PushTo, at once.
func (m moderator) checkMedia(w http.ResponseWriter, r *http.Request) {
	body, text := readContent(r)
	if body.Version != contentV2 {
		r.Body = text
		echo(w, r)
		return
	}
	errcode := m.fault(body)
	if errcode == wechat.CodeOK && body.MediaType != mediaAudio && body.MediaType != mediaImage {
		errcode = errcodeMediaType
	}
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	trace := newRequestID()
	writeOK(w, map[string]any{"trace_id": trace})
	if address := m.backend().pushURL.Load(); address != nil {
		m.push(*address, m.result(trace, body.MediaURL))
	}
}

// fault returns the errcode for a wrong scene, or for a user who is not here.
func (m moderator) fault(body contentBody) int {
	b := m.backend()
	at, known := b.keys.lastLogin(body.OpenID)
	switch {
	case body.Scene < 1 || body.Scene > 4:
		return errcodeScene
	case !known:
		return errcodeForeignUser
	case b.clock.now().Sub(at) > activeFor:
		return errcodeInactiveUser
	}
	return wechat.CodeOK
}

// result is the event wxa_media_check. Its labels are texts, as has been seen. An address with "missing" in it has no picture.
func (m moderator) result(trace, address string) []byte {
	b := m.backend()
	event := map[string]any{
		"ToUserName": "gh_sandbox000000", "FromUserName": openID(b.cfg.AppID, "official"), "CreateTime": b.clock.now().Unix(),
		"MsgType": "event", "Event": "wxa_media_check", "appid": b.cfg.AppID, "trace_id": trace, "version": contentV2, "errcode": 0, "errmsg": "ok",
	}
	if strings.Contains(address, "missing") {
		event["errcode"], event["errmsg"] = errcodeNoDownload, "download failed"
		return encode(event)
	}
	suggest, label := judge(address)
	event["result"] = map[string]any{"suggest": suggest, "label": strconv.Itoa(label)}
	event["detail"] = []map[string]any{{"strategy": "content_model", "errcode": 0, "suggest": suggest, "label": strconv.Itoa(label), "prob": 90}}
	return encode(event)
}

// judge finds the words of the package comment, and WeChat's own sample of a bad text.
func judge(text string) (suggest wechat.ContentResult, label int) {
	switch {
	case strings.Contains(text, "违禁"), strings.Contains(text, "risky"), strings.Contains(text, "特3456书yuuo莞6543李zxcz蒜7782法fgnv级"):
		return wechat.ContentRisky, labelPorn
	case strings.Contains(text, "存疑"), strings.Contains(text, "review"):
		return wechat.ContentReview, labelOther
	}
	return wechat.ContentPass, labelNormal
}

// PushTo has events that WeChat sends by itself, the results of pictures, pushed to an http address of this machine; "" ends it.
func (s *Sandbox) PushTo(address string) {
	if address == "" {
		s.backend.Load().pushURL.Store(nil)
		return
	}
	s.backend.Load().pushURL.Store(&address)
}

// pushEvent pushes a message in the background, up to three times, as WeChat does.
func (s *Sandbox) pushEvent(address string, message []byte) {
	if s.push == nil {
		return
	}
	s.inBackground(func(ctx context.Context) {
		for range maxPushes {
			if status, _, err := s.SendPush(ctx, address, message); err == nil && status == http.StatusOK {
				return
			}
		}
	})
}
