package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wxgate/authn/wechat"
	"wxgate/secret"
	"wxgate/upstream"
)

// acts takes down what a receiver has done to people; err is what becomes of it.
type acts struct {
	done []string
	err  error
}

func (a *acts) note(of ...string) error {
	a.done = append(a.done, strings.Join(of, " "))
	return a.err
}

func (a *acts) ConsentRevoked(_ context.Context, appID, openID, info string) error {
	return a.note("revoked", appID, openID, info)
}

func (a *acts) AccountCancelled(_ context.Context, appID, openID string) error {
	return a.note("cancelled", appID, openID)
}

func (a *acts) ProfileCleaned(_ context.Context, appID, openID string) error {
	return a.note("cleaned", appID, openID)
}

func (a *acts) AvatarJudged(_ context.Context, appID, traceID string, result wechat.ContentCheck) error {
	return a.note("judged", appID, traceID, string(result.Result), strconv.Itoa(result.Label))
}

const refused = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"

func TestTheGatewayDeletesWhatItKeepsAndTellsTheService(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]string{
		`{"Event":"user_authorization_revoke","OpenID":"oABC","AppID":"` + testAppID + `","RevokeInfo":"8"}`:                                       "revoked " + testAppID + " oABC 8",
		`{" Event":"user_authorization_revoke"," OpenID":"oABC"," RevokeInfo":301}`:                                                                "revoked " + testAppID + " oABC 301",
		`{"Event":"user_authorization_revoke","OpenID":"oABC","RevokeInfo":[6,"8"]}`:                                                               "revoked " + testAppID + ` oABC [6,"8"]`,
		`<xml><Event><![CDATA[user_authorization_revoke]]></Event><OpenID><![CDATA[oABC]]></OpenID><RevokeInfo><![CDATA[6,8]]></RevokeInfo></xml>`: "revoked " + testAppID + " oABC 6,8",
		`{"Event":"user_authorization_cancellation","OpenID":"oABC"}`:                                                                              "cancelled " + testAppID + " oABC",
		`{"Event":"user_info_modified","OpenID":"oABC"}`:                                                                                           "cleaned " + testAppID + " oABC",
		`{"Event":"user_authorization_cancellation","OpenID":"oABC","AppID":"wx0000000000000002"}`:                                                 "",
		`{"Event":"user_authorization_cancellation_","OpenID":"oABC"}`:                                                                             "",
		`{"MsgType":"text","Content":"user_authorization_cancellation","OpenID":"oABC","MsgId":1}`:                                                 "",
	} {
		r, did := newRig(t, testKey), &acts{}
		r.people = did
		for range 2 {
			if reply, err := r.push(event); err != nil || !strings.HasSuffix(r.said(reply), success) {
				t.Errorf("%s: %v", event, err)
			}
		}
		if got := strings.Join(did.done, "; "); got != want || len(r.service.Requests()) != 1 {
			t.Errorf("%s twice: did %q, and told the service %d times; want %q and once", event, got, len(r.service.Requests()), want)
		}
	}
}

// TestTheResultOfAPicture comes in JSON and in XML, with labels as texts, without detail, as none, and as one that nobody knows.
func TestTheResultOfAPicture(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]string{
		`{"Event":"wxa_media_check","appid":"` + testAppID + `","trace_id":"t-1","version":2,"result":{"suggest":"risky","label":20002},"detail":[],"errcode":0}`: "t-1 risky 20002",
		`{"Event":"wxa_media_check","trace_id":"t-1","result":{"suggest":"pass","label":"100"}}`:                                                                  "t-1 pass 100",
		`{"Event":"wxa_media_check","trace_id":"t-1","result":{"suggest":"block"},"errcode":"0"}`:                                                                 "t-1  0",
		`{"Event":"wxa_media_check","trace_id":"t-1","result":{"suggest":"pass"},"errcode":-1008}`:                                                                "t-1  0",
		`{"Event":"wxa_media_check","trace_id":"t-1","isrisky":1}`:                                                                                                "t-1  0",
		`<xml><Event>wxa_media_check</Event><trace_id><![CDATA[t-1]]></trace_id><result><suggest><![CDATA[risky]]></suggest><label>20001</label></result></xml>`:  "t-1 risky 20001",
		`{"Event":"wxa_media_check","result":{"suggest":"risky"}}`:                                                                                                "",
		`{"Event":"other","trace_id":"t-1","result":{"suggest":"risky"}}`:                                                                                         "",
	} {
		if want != "" {
			want = "judged " + testAppID + " " + want
		}
		for mode, key := range map[string]secret.Text{"safe": testKey, "plain": ""} {
			r, did := newRig(t, key), &acts{}
			r.people = did
			if _, err := r.push(event); err != nil {
				t.Errorf("%s, %s mode: %v", event, mode, err)
			}
			if got := strings.Join(did.done, ";"); got != want || len(r.service.Requests()) != 1 {
				t.Errorf("%s, %s mode: did %q, told %d times; want %q and once", event, mode, got, len(r.service.Requests()), want)
			}
		}
	}
}

// TestWhatWasDeletedIsNotDeletedAgain when WeChat repeats the event because the service failed: the person may have given it anew.
func TestWhatWasDeletedIsNotDeletedAgain(t *testing.T) {
	t.Parallel()
	r, did := newRig(t, testKey), &acts{err: errors.New("the store is away")}
	r.people = did
	event := `{"Event":"user_authorization_revoke","OpenID":"oABC","RevokeInfo":"8"}`
	if _, err := r.push(event); !errors.Is(err, did.err) || len(r.service.Requests()) != 0 {
		t.Errorf("without a store: %v, told %d times; want WeChat to come again, and nobody told", err, len(r.service.Requests()))
	}
	says := r.says
	did.err, r.says = nil, refused
	for range 2 {
		if _, err := r.push(event); err == nil {
			t.Error("what the service refused is acknowledged")
		}
	}
	r.says = says
	if _, err := r.push(event); err != nil || len(did.done) != 2 || len(r.service.Requests()) != 3 {
		t.Errorf("%v; did it %d times and told %d times, want once more than the store failed, and three times", err, len(did.done), len(r.service.Requests()))
	}
}

// TestInPlainModeNobodyIsErasedWithinADay, nor who logs in meanwhile, and no profile is cleaned.
func TestInPlainModeNobodyIsErasedWithinADay(t *testing.T) {
	t.Parallel()
	r, did := newRig(t, ""), &acts{}
	r.people = did
	r.memory.logins["oBack"] = r.clock.Add(erasureWait / 2)
	for _, event := range []string{
		`{"Event":"user_authorization_cancellation","OpenID":"oBack"}`,
		`{"Event":"user_authorization_cancellation","OpenID":"oGone"}`,
		`{"Event":"USER_authorization_REVOKE","OpenID":"oGone","RevokeInfo":"6"}`,
		`{"Event":"user_info_modified","OpenID":"oGone"}`,
	} {
		if _, err := r.push(event); err != nil {
			t.Fatalf("%s: %v", event, err)
		}
	}
	look := func() { r.tellErasures(t.Context(), func(string) (App, *upstream.Upstream) { return r.apps[0], r.to }) }
	r.clock = r.clock.Add(erasureWait - 1)
	look()
	if len(did.done) != 0 || len(r.service.Requests()) != 1 {
		t.Errorf("within a day: did %q, told %d times; want nothing, and of the cleaned profile alone", did.done, len(r.service.Requests()))
	}
	r.clock = r.clock.Add(1)
	says := r.says
	r.says = refused
	look()
	r.says = says
	look()
	look()
	slices.Sort(did.done)
	if got, want := fmt.Sprint(did.done), fmt.Sprintf("[cancelled %s oGone revoked %s oGone 6]", testAppID, testAppID); got != want {
		t.Errorf("after a day: did %s, want %s", got, want)
	}
}
