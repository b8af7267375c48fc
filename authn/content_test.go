package authn

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
	"wxgate/lograte"
	"wxgate/storage"
)

// Texts as the sandbox judges them.
const (
	riskyText  = "特3456书yuuo莞6543李zxcz蒜7782法fgnv级"
	reviewText = "存疑的名字"
)

var (
	lenient = ContentPolicy{Check: true, Unchecked: true}
	strict  = ContentPolicy{Check: true}
)

// logsTo has what is logged of content written to log.
func (f *fixture) logsTo(log *bytes.Buffer) {
	logger := slog.New(slog.NewTextHandler(log, nil))
	f.Users.content.log, f.Users.content.limited = logger, lograte.New(logger, f.clock.Now)
}

// write changes the profile of a token's user.
func (f *fixture) write(t *testing.T, bearer string, p Profile, policy ContentPolicy) (storage.User, error) {
	t.Helper()
	return f.Users.UpdateProfile(t.Context(), f.subjectOf(t, bearer), p, policy)
}

func (f *fixture) checks(api string) int { return f.weChat.Stats().APIs[api].Calls }

func TestARiskyTextIsNotStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var log bytes.Buffer
	f.logsTo(&log)
	bearer := f.loginAs(t, "alice").Token
	name, bio, bad, empty := "小厨师", "爱做饭", riskyText, ""
	for _, row := range []struct {
		p      Profile
		policy ContentPolicy
		err    error
		asked  int
	}{
		{Profile{Nickname: &name}, lenient, nil, 1},
		{Profile{Nickname: &name}, lenient, nil, 0}, // it is stored already
		{Profile{Nickname: &name, Bio: &bio}, strict, nil, 1},
		{Profile{Nickname: &bad}, lenient, ErrContentRisky, 1},
		{Profile{Bio: &bad}, lenient, ErrContentRisky, 1},
		{Profile{Bio: &bad}, strict, ErrContentRisky, 1},
		{Profile{Bio: &empty}, strict, nil, 0},
		{Profile{Nickname: &bad}, ContentPolicy{}, nil, 0},
	} {
		before := f.checks("msg_sec_check")
		if _, err := f.write(t, bearer, row.p, row.policy); !errors.Is(err, row.err) || err != nil && row.err == nil {
			t.Errorf("%+v under %+v: %v, want %v", row.p, row.policy, err, row.err)
		}
		if asked := f.checks("msg_sec_check") - before; asked != row.asked {
			t.Errorf("%+v: WeChat was asked %d times, want %d", row.p, asked, row.asked)
		}
	}
	if got := log.String(); strings.Contains(got, riskyText[:8]) || strings.Count(got, "WeChat finds it risky") != 3 || !strings.Contains(got, "user=1 label=20002") {
		t.Errorf("the log has\n%s\nwant three lines without the text", got)
	}
}

// TestWhatWeChatDoesNotJudgeIsAsConfigured: an errcode, a person who was not here for two hours, what a person should look at,
// a broken answer and silence.
func TestWhatWeChatDoesNotJudgeIsAsConfigured(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var log bytes.Buffer
	f.logsTo(&log)
	bearer := f.loginAs(t, "alice").Token
	name, doubtful := "小厨师", reviewText
	for _, row := range []struct {
		what string
		p    Profile
		kind string
	}{
		{"for review", Profile{Nickname: &doubtful}, ""},
		{"busy", Profile{Nickname: &name}, "-1"},
		{"the quota", Profile{Nickname: &name}, "45009"},
		{"no right to the API", Profile{Nickname: &name}, "48001"},
		{"not here", Profile{Nickname: &name}, "61010"},
		{"half an answer", Profile{Nickname: &name}, "half"},
		{"HTML", Profile{Nickname: &name}, "html"},
		{"no connection", Profile{Nickname: &name}, "reset"},
	} {
		if err := f.weChat.Fail(sandbox.Failure{API: "msg_sec_check", Kinds: []string{row.kind}[:min(1, len(row.kind))]}); err != nil {
			t.Fatal(err)
		}
		old, _ := f.store.User(t.Context(), 1)
		if _, err := f.write(t, bearer, row.p, strict); !errors.Is(err, ErrContentUnchecked) {
			t.Errorf("%s, refused: %v, want ErrContentUnchecked", row.what, err)
		} else if strings.Contains(err.Error(), *row.p.Nickname) {
			t.Errorf("%s: the error has the text: %v", row.what, err)
		}
		if now, _ := f.store.User(t.Context(), 1); now != old {
			t.Errorf("%s, refused: it was stored", row.what)
		}
		if user, err := f.write(t, bearer, row.p, lenient); err != nil || user.Nickname != *row.p.Nickname {
			t.Errorf("%s, allowed: %v, want it stored", row.what, err)
		}
		if _, err := f.write(t, bearer, Profile{Nickname: new(string)}, lenient); err != nil {
			t.Fatal(err)
		}
		f.clock.move(2 * time.Second)
	}
	if got := log.String(); strings.Contains(got, name) || strings.Contains(got, doubtful) || !strings.Contains(got, "WeChat has not judged it") {
		t.Errorf("the log has\n%s\nwant lines without a text", got)
	}
}

// TestALoginNeverFailsOfItsNickname: what must not be stored is left out.
func TestALoginNeverFailsOfItsNickname(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	login := func(nickname string, policy ContentPolicy) string {
		t.Helper()
		grant, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode("alice"), Nickname: &nickname, Content: policy})
		if err != nil {
			t.Fatal(err)
		}
		return grant.User.Nickname
	}
	if got := login(riskyText, lenient); got != "" {
		t.Errorf("a risky nickname: %q is stored", got)
	}
	if got := login("小厨师", strict); got != "小厨师" || f.checks("msg_sec_check") != 2 {
		t.Errorf("a good one: %q after %d questions", got, f.checks("msg_sec_check"))
	}
	if got := login("小厨师", strict); got != "小厨师" || f.checks("msg_sec_check") != 2 {
		t.Errorf("the same again: %q after %d questions, want none more", got, f.checks("msg_sec_check"))
	}
	if got := login(riskyText, strict); got != "小厨师" {
		t.Errorf("a risky one: %q, want the one from before", got)
	}
	if err := f.weChat.Fail(sandbox.Failure{API: "msg_sec_check", Kinds: []string{"61010"}}); err != nil {
		t.Fatal(err)
	}
	if got := login("大厨师", strict); got != "小厨师" {
		t.Errorf("unchecked, refused: %q, want the one from before", got)
	}
	if got := login("大厨师", lenient); got != "大厨师" {
		t.Errorf("unchecked, allowed: %q, want it", got)
	}
}

// TestASilentWeChatIsNotAskedForLong: once it has not answered often enough, nobody waits for it.
func TestASilentWeChatIsNotAskedForLong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bearer := f.loginAs(t, "alice").Token
	if err := f.weChat.Fail(sandbox.Failure{API: "msg_sec_check", Kinds: []string{"half"}}); err != nil {
		t.Fatal(err)
	}
	const attempts = 40
	for range attempts {
		name := newID()
		if _, err := f.write(t, bearer, Profile{Nickname: &name}, lenient); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.checks("msg_sec_check"); got >= attempts || got < 20 {
		t.Errorf("WeChat was asked %d times of %d, want 20 or somewhat more", got, attempts)
	}
	if _, err := f.Login(t.Context(), Login{Code: f.weChat.IssueCode("bob")}); err != nil {
		t.Errorf("a login meanwhile: %v", err)
	}
}

// TestWhoCameThroughNoMiniProgramCannotBeAskedAbout, such as a page on the web.
func TestWhoCameThroughNoMiniProgramCannotBeAskedAbout(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	name := "小厨师"
	s := f.subjectOf(t, f.loginAs(t, "alice").Token)
	f.Users.content.apps = apps{}
	if _, err := f.Users.UpdateProfile(t.Context(), s, Profile{Nickname: &name}, strict); !errors.Is(err, ErrContentUnchecked) {
		t.Errorf("refused: %v, want ErrContentUnchecked", err)
	}
	if _, err := f.Users.UpdateProfile(t.Context(), s, Profile{Nickname: &name}, lenient); err != nil {
		t.Errorf("allowed: %v", err)
	}
}
