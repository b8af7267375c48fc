package wechat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// parseAnswer reads the body of any answer of WeChat: an object without errcode, or with errcode 0, is success. Every
// other errcode is an *Error; anything that is not such an object is ErrBadResponse. A byte order mark is tolerated, and
// the content type is not asked for: WeChat sends JSON as text/plain. No text of the far end but errmsg gets into an error,
// and no secret through errmsg.
func parseAnswer(api string, body []byte, secrets []string) (object, error) {
	members, err := parseObject(withoutMark(body))
	if err != nil {
		return nil, badResponse(err)
	}
	code, err := members.errcode()
	if err != nil {
		return nil, badResponse(err)
	}
	if code == CodeOK {
		return members, nil
	}
	// An errmsg of the wrong type does not make the errcode less true.
	message, _ := members.text("errmsg")
	return nil, newError(api, code, message, secrets)
}

// withoutMark drops a byte order mark.
func withoutMark(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\uFEFF")) }

// errcode returns the member of that name, 0 when it is absent or null. WeChat writes a number, but its page
// "thirdpartyCode2Session" shows the string "40029", so both are read. A fraction or more than 32 bits is an error.
func (o object) errcode() (int, error) {
	raw, ok := o["errcode"]
	if !ok || string(raw) == "null" {
		return CodeOK, nil
	}
	digits := string(raw)
	if raw[0] == '"' && json.Unmarshal(raw, &digits) != nil {
		return 0, fmt.Errorf("errcode is not a number")
	}
	code, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("errcode is not a whole number of 32 bits")
	}
	return int(code), nil
}

// badResponse keeps the reason and answers to errors.Is(err, ErrBadResponse).
func badResponse(reason error) error { return fmt.Errorf("%w: %w", ErrBadResponse, reason) }
