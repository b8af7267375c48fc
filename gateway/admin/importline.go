package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/storage"
)

// importLine is a user as a line of an import describes them.
type importLine struct {
	number  int
	user    storage.User
	dropped []string // fields that are left out, and why
}

// maxDropped bounds what is said about one line.
const maxDropped = 10

// drop notes that a field is left out.
func (l *importLine) drop(format string, args ...any) {
	if len(l.dropped) < maxDropped {
		l.dropped = append(l.dropped, fmt.Sprintf(format, args...))
	}
}

// parseImportLine parses one line. Only an id, openid or appid that is missing, invalid or given twice is an error:
// whoever is refused comes back as a new user. Every other field that does not hold is left out.
func parseImportLine(number int, line []byte, now time.Time) (importLine, error) {
	l := importLine{number: number}
	if err := l.decode(bytes.ToValidUTF8(line, []byte(string(utf8.RuneError))), now); err != nil {
		return l, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	user, dropped := authn.Presentable(l.user)
	l.user = user
	for _, why := range dropped {
		l.drop("%s", why)
	}
	return l, nil
}

// decode reads the fields of an object. Their names are compared without case, as Go does.
func (l *importLine) decode(line []byte, now time.Time) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return notObject(err)
	}
	identity := map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return notObject(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return notObject(err)
		}
		key := strings.ToLower(fmt.Sprint(name))
		switch key {
		case "id", "openid", "appid":
			if before, twice := identity[key]; twice && !bytes.Equal(before, value) {
				return fmt.Errorf("%s stands there twice, with different values", key)
			}
			identity[key] = value
		default:
			l.decodeField(key, fmt.Sprint(name), value, now)
		}
	}
	if _, err := dec.Token(); err != nil {
		return notObject(err)
	}
	if rest := bytes.TrimSpace(line[dec.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("behind the object stands %s; write one object per line, and nothing else", input.Quote(string(rest)))
	}
	return l.decodeIdentity(identity)
}

// notObject says why a line is not a JSON object; err is what its decoder says, if anything.
func notObject(err error) error {
	switch {
	case err == nil:
		return errors.New("the line is not a JSON object")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the line ends before its JSON object does")
	}
	return fmt.Errorf("the line is not a JSON object: %w", err)
}

// decodeIdentity reads what no user can be without. An id may be in quotes, as databases write large numbers.
func (l *importLine) decodeIdentity(fields map[string]json.RawMessage) (err error) {
	number, named := fields["id"]
	if !named || string(number) == "null" {
		return errors.New("there is no id")
	}
	if text, isText := decodeText(number); isText {
		number = json.RawMessage(text)
	}
	if l.user.ID, err = input.UserID(string(number)); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	for name, into := range map[string]*string{"openid": &l.user.OpenID, "appid": &l.user.AppID} {
		if value := fields[name]; len(value) > 0 && string(value) != "null" {
			text, isText := decodeText(value)
			if !isText {
				return fmt.Errorf("%s is not a text", name)
			}
			*into = text
		}
	}
	return nil
}

func decodeText(value json.RawMessage) (text string, isText bool) {
	isText = len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil
	return text, isText
}

// decodeField reads a field whose loss loses nobody.
func (l *importLine) decodeField(key, name string, value json.RawMessage, now time.Time) {
	u := &l.user
	texts := map[string]*string{"unionid": &u.UnionID, "nickname": &u.Nickname, "avatar": &u.Avatar, "bio": &u.Bio}
	counters := map[string]*int64{
		"recipe_count": &u.RecipeCount, "follower_count": &u.FollowerCount,
		"following_count": &u.FollowingCount, "favorite_count": &u.FavoriteCount,
	}
	text, isText := decodeText(value)
	switch {
	case key == "link":
		l.drop("link: whose account it is can only be copied or restored; the user is one of its own until WeChat says it again")
	case texts[key] == nil && counters[key] == nil && key != "created_at" && !decidedHere(key):
		l.drop("%s: there is no such key", input.Quote(name))
	case string(value) == "null", decidedHere(key): // what an export has, and an import decides itself
	case key == "created_at":
		at, err := parseImportTime(text, now)
		if !isText {
			err = fmt.Errorf("%s is not a text", input.Quote(string(value)))
		}
		if err != nil {
			l.drop("created_at: %v", err)
			return
		}
		u.CreatedAt = at
	case counters[key] != nil:
		if !isText {
			text = string(value)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			l.drop("%s: %s is not a whole number", key, input.Quote(text))
			return
		}
		*counters[key] = n
	case !isText:
		l.drop("%s: %s is not a text", key, input.Quote(string(value)))
	case strings.ContainsRune(text, utf8.RuneError):
		l.drop("%s: it is not UTF-8", key)
	default:
		*texts[key] = text
	}
}

// decidedHere reports whether a key is one of an export about which an import decides itself.
func decidedHere(key string) bool {
	return slices.Contains([]string{"updated_at", "native", "unionid_proved", "linked_to"}, key)
}

// parseImportTime reads RFC 3339, or a date of MySQL or Excel in China, with or without a time, which is in UTC.
func parseImportTime(text string, now time.Time) (time.Time, error) {
	if strings.HasPrefix(text, "0000-00-00") {
		return time.Time{}, fmt.Errorf("%s is no date", input.Quote(text))
	}
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", time.DateOnly, "2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2"} {
		at, err := time.Parse(form, text) // a fraction of a second is read too
		if err != nil {
			continue
		}
		if at.After(now.Add(time.Minute)) {
			return time.Time{}, fmt.Errorf("%s is in the future; was it written in another time zone?", input.Quote(text))
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%s is not a time such as 2024-10-16T12:00:00+08:00 or 2024-10-16 12:00:00", input.Quote(text))
}
