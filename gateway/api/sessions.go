package api

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/answer"
	"wxgate/storage"
)

// ownSession is a session in the device list of its user.
type ownSession struct {
	ID          string      `json:"id"`
	Device      string      `json:"device"`
	Current     bool        `json:"current"` // the session of the request itself
	CreatedAt   answer.Time `json:"created_at"`
	RefreshedAt answer.Time `json:"refreshed_at"`
	ExpiresAt   answer.Time `json:"expires_at"`
}

// Sessions answers GET /api/v1/auth/sessions with a page of them, and a Link to the next one (RFC 8288) if there is
// one.
func (a *API) Sessions(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	query, err := url.ParseQuery(string(c.Request().URI().QueryString()))
	if err != nil {
		return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	page, err := answer.ListSessions(c.UserContext(), a.auth.Sessions, subject.UserID, query)
	if err != nil {
		return err
	}
	own := make([]ownSession, 0, len(page.Sessions))
	for _, s := range page.Sessions {
		own = append(own, newOwnSession(s, subject.SessionID))
	}
	if err := a.succeed(c, own); err != nil || page.Next == "" {
		return err
	}
	c.Set(fiber.HeaderLink, fmt.Sprintf(`<%s?limit=%d&after=%s>; rel="next"`, c.Path(), page.Limit, page.Next))
	return nil
}

func newOwnSession(s storage.Session, current string) ownSession {
	return ownSession{
		s.ID, s.Device, s.ID == current, answer.Time{Time: s.CreatedAt}, answer.Time{Time: s.RefreshedAt}, answer.Time{Time: s.ExpiresAt},
	}
}

// EndSession answers DELETE /api/v1/auth/sessions/:id: users end their own sessions, and cannot find out whether others
// exist.
func (a *API) EndSession(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	path := strings.TrimSuffix(string(callOf(c).Path), "/")
	if err := a.auth.Sessions.EndOf(c.UserContext(), subject.UserID, path[strings.LastIndexByte(path, '/')+1:]); err != nil {
		return err
	}
	return a.succeedWith(c, loggedOut, fiber.Map{"message": loggedOut})
}

// deviceFromUserAgent is the device family of a User-Agent, for the device list. MiniProgramEnv names the desktop
// clients of WeChat.
func deviceFromUserAgent(userAgent string) string {
	if len(userAgent) > 512 {
		userAgent = userAgent[:512]
	}
	for _, family := range []struct{ mark, name string }{
		{"wechatdevtools", "微信开发者工具"},
		{"MiniProgramEnv/Windows", "微信 Windows"},
		{"MiniProgramEnv/Mac", "微信 Mac"},
		{"iPad", "iPad"},
		{"iPhone", "iPhone"},
		{"OpenHarmony", "HarmonyOS"},
		{"HarmonyOS", "HarmonyOS"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"Macintosh", "Mac"},
		{"Linux", "Linux"},
	} {
		if strings.Contains(userAgent, family.mark) {
			return family.name
		}
	}
	return "其他设备"
}
