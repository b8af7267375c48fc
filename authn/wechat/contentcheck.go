package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"wxgate/input"
)

// The values of ContentCheckConfig.OnError.
const (
	OnErrorAllow  = "allow"
	OnErrorRefuse = "refuse"
)

// ContentCheckConfig is wechat.content_check: what users write of themselves is shown to WeChat before it is stored.
type ContentCheckConfig struct {
	Enabled bool   `yaml:"enabled"`  // nicknames, bios and avatars are judged by WeChat
	OnError string `yaml:"on_error"` // allow or refuse what WeChat has not judged
}

func (c ContentCheckConfig) validate() (f input.Faults) {
	if c != (ContentCheckConfig{}) {
		f.OneOf("on_error", c.OnError, OnErrorAllow, OnErrorRefuse)
	}
	return f
}

// ContentResult is what WeChat says of a text or a picture. Anything but these three is no result.
type ContentResult string

// The results of the pages "msgSecCheck" and "mediaCheckAsync".
const (
	ContentPass   ContentResult = "pass"
	ContentReview ContentResult = "review" // a person should look at it
	ContentRisky  ContentResult = "risky"
)

// ContentCheck is a result with its reason.
type ContentCheck struct {
	Result ContentResult
	Label  int // 100 normal, 10001 advert, 20001 politics, 20002 porn, …; 0: not said
}

// ProfileText is what users write of themselves; "" is nothing to check.
type ProfileText struct {
	Nickname string
	Bio      string
}

// Format writes *** for every verb: what people write does not belong in a log.
func (ProfileText) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

const (
	pathTextCheck  = "/wxa/msg_sec_check"
	pathImageCheck = "/wxa/media_check_async"

	checkVersion = 2
	sceneProfile = 1
	mediaImage   = 2
	maxTraceID   = 128 // bytes; real ones have about 35
)

// moderation is the part of a Client that asks about content.
type moderation struct {
	ask func(ctx context.Context, r call, secrets ...string) (object, error) // answerOf of the Client
}

// CheckProfile asks WeChat about the texts of a user of this mini-program (page "msgSecCheck"), who must have used it within
// the last two hours: otherwise the error is an *Error with the errcode 61010. No error quotes the texts.
func (m moderation) CheckProfile(ctx context.Context, openID string, text ProfileText) (ContentCheck, error) {
	members, err := m.check(ctx, pathTextCheck, map[string]any{
		"version": checkVersion, "scene": sceneProfile, "openid": openID,
		"content": strings.TrimSpace(text.Nickname + "\n" + text.Bio), "nickname": text.Nickname, "signature": text.Bio,
	})
	if answer, ok := errors.AsType[*Error](err); ok && answer.Code == errCodeRiskyContent {
		return ContentCheck{Result: ContentRisky}, nil // as version 1 says it
	}
	if err != nil {
		return ContentCheck{}, err
	}
	check := ParseContentCheck(members["result"])
	if check.Result == "" {
		return ContentCheck{}, named(APITextCheck, badResponse(errors.New("result.suggest is none that is known")))
	}
	return check, nil
}

// CheckImage has WeChat fetch and check a picture of such a user (page "mediaCheckAsync"). The result is pushed within half
// an hour, as an event wxa_media_check with this trace_id.
func (m moderation) CheckImage(ctx context.Context, openID, address string) (traceID string, err error) {
	members, err := m.check(ctx, pathImageCheck, map[string]any{
		"version": checkVersion, "scene": sceneProfile, "openid": openID, "media_url": address, "media_type": mediaImage,
	})
	if err != nil {
		return "", err
	}
	traceID, err = members.text("trace_id")
	if err == nil && (traceID == "" || len(traceID) > maxTraceID) {
		err = fmt.Errorf("trace_id has %d bytes", len(traceID))
	}
	if err != nil {
		return "", named(APIImageCheck, badResponse(err))
	}
	return traceID, nil
}

// check posts a check. What WeChat says of an errcode may quote what is checked, so it is left out.
func (m moderation) check(ctx context.Context, path string, body map[string]any) (object, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, named(apiLabel(path), err)
	}
	members, err := m.ask(ctx, call{method: http.MethodPost, path: path, body: text, contentType: jsonType})
	if answer, ok := errors.AsType[*Error](err); ok {
		answer.Message = masked
	}
	return members, named(apiLabel(path), err)
}

// ParseContentCheck reads the member result of an answer or of an event. What is not as the pages have it is no result.
func ParseContentCheck(result json.RawMessage) (check ContentCheck) {
	var read struct {
		Suggest json.RawMessage `json:"suggest"`
		Label   json.RawMessage `json:"label"` // a number, and seen as a string
	}
	if json.Unmarshal(result, &read) != nil {
		return ContentCheck{}
	}
	var suggest ContentResult
	if json.Unmarshal(read.Suggest, &suggest) != nil {
		return ContentCheck{}
	}
	switch suggest {
	case ContentPass, ContentReview, ContentRisky:
		check.Result = suggest
	}
	if label, err := strconv.ParseInt(strings.Trim(string(read.Label), `"`), 10, 32); err == nil {
		check.Label = int(label)
	}
	return check
}
