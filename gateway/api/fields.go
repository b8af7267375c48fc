package api

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/credential"
	"wxgate/input"
)

// FieldNames are what clients call fields of ours beside the names that are known anyway, which count first. They are
// found at the top of a body, exactly as written; those of the code of a login and of a refresh token in a query too.
type FieldNames struct {
	Code         []string `yaml:"code"`          // of a login
	RefreshToken []string `yaml:"refresh_token"` // further names of the token in the body of a refresh
	PhoneCode    []string `yaml:"phone_code"`    // the code of a phone number
	Nickname     []string `yaml:"nickname"`      // further names of the nickname in a login
	Avatar       []string `yaml:"avatar"`        // further names of the avatar in a login
	Bio          []string `yaml:"bio"`           // further names of the bio
}

// maxNames bounds the names of a field.
const maxNames = 8

// Validate reports names that could never be found, and those that mean something already.
func (n FieldNames) Validate() (f input.Faults) {
	meaning := knownNames()
	for _, field := range []struct {
		key   string
		names []string
	}{
		{"code", n.Code},
		{"refresh_token", n.RefreshToken},
		{"phone_code", n.PhoneCode},
		{"nickname", n.Nickname},
		{"avatar", n.Avatar},
		{"bio", n.Bio},
	} {
		if len(field.names) > maxNames {
			f.Add(field.key, "has %d names; %d are the most", len(field.names), maxNames)
		}
		for i, name := range field.names {
			at, folded := fmt.Sprintf("%s[%d]", field.key, i), strings.ToLower(name)
			switch err := credential.CheckName(name); {
			case err != nil:
				f.Add(at, "%v", err)
			case strings.Contains(name, "."):
				f.Add(at, "%q is within another field; only fields at the top are looked for", name)
			case meaning[folded] != "":
				f.Add(at, "%q is a name of %s already", name, meaning[folded])
			default:
				meaning[folded] = field.key
			}
		}
	}
	return f
}

// knownNames are the fields that endpoints read whatever is configured, in lower case, since JSON is read in any case,
// and what they hold.
func knownNames() map[string]string {
	const code, refresh, nickname, avatar = "code", "refresh_token", "nickname", "avatar"
	return map[string]string{
		"code": code, "js_code": code, "jscode": code, "logincode": code, "wxcode": code,
		"refresh_token": refresh, "refreshtoken": refresh,
		"nickname": nickname, "avatar": avatar, "avatarurl": avatar, "userinfo": "the profile", "bio": "bio",
		"encrypteddata": "encrypted data", "iv": "encrypted data", "rawdata": "encrypted data", "signature": "encrypted data",
		"all": "a parameter of logout",
	}
}

// textOf is the first text that an object has under one of these names; nil: it has none.
func textOf(object []byte, names []string) *string {
	if len(names) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return nil
	}
	for _, name := range names {
		var text *string
		if json.Unmarshal(fields[name], &text) == nil && text != nil {
			return text
		}
	}
	return nil
}

// valueOf is a text, "" if there is none.
func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// queryJSON is the query of a request as a JSON object; nil: it has none that could be read in one way.
func queryJSON(c *fiber.Ctx) []byte {
	object, err := formJSON(c.Request().URI().QueryString())
	if err != nil {
		return nil
	}
	return object
}
