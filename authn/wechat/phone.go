package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

const pathPhoneNumber = "/wxa/business/getuserphonenumber"

// maxPhone is the longest phone number taken, in bytes: E.164 has 15 digits, and there is a + and some grouping.
const maxPhone = 32

// Phone is a phone number that its owner gave to the mini-program.
type Phone struct {
	Number      string // with the country code where it is not 86: digits, + and -
	PureNumber  string // without the country code
	CountryCode string // 86
}

// Format writes *** for every verb: a phone number does not belong in a log.
func (Phone) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue returns ***, whatever the slog handler.
func (Phone) LogValue() slog.Value { return slog.StringValue(masked) }

// PhoneNumber exchanges the code of a getPhoneNumber button (not that of wx.login; valid for 5 minutes, once) for the
// number (page "getPhoneNumber"). openID is the user who sent it: WeChat refuses the code of another user with
// ErrCodeInvalidOpenID. Each success costs the operator money. The error is an *Error, for example with
// ErrCodeInvalidCode, ErrCodeMinuteQuota or ErrCodeBusy, or wraps ErrInvalidCode or an error of Call.
func (c *Client) PhoneNumber(ctx context.Context, code, openID string) (Phone, error) {
	const api = APIPhoneNumber
	if !ValidCode(code) {
		return Phone{}, named(api, ErrInvalidCode)
	}
	body, err := json.Marshal(map[string]string{"code": code, "openid": openID})
	if err != nil {
		return Phone{}, named(api, err)
	}
	members, err := c.answerOf(ctx, call{method: http.MethodPost, path: pathPhoneNumber, body: body, contentType: jsonType}, code, openID)
	if err != nil {
		return Phone{}, named(api, err)
	}
	phone, err := parsePhone(members, c.cfg.AppID)
	return phone, named(api, err)
}

// parsePhone reads phone_info, whose watermark must be ours.
func parsePhone(members object, appID string) (Phone, error) {
	info := []byte(members["phone_info"])
	if !watermarked(info, appID) {
		return Phone{}, badResponse(errors.New("phone_info is not an object with our watermark"))
	}
	inner, err := parseObject(bytes.TrimSpace(info))
	if err != nil {
		return Phone{}, badResponse(err)
	}
	p, err := inner.phone()
	if err != nil {
		return Phone{}, badResponse(oneLine(err))
	}
	return p, nil
}

// phone reads the three members that make a number.
func (o object) phone() (p Phone, err error) {
	err = errors.Join(
		o.digits("phoneNumber", &p.Number),
		o.digits("purePhoneNumber", &p.PureNumber),
		o.digits("countryCode", &p.CountryCode),
	)
	return p, err
}

// digits reads a number or a part of one into to. The page says that countryCode is a string and shows the number 86.
func (o object) digits(name string, to *string) error {
	text := string(o[name])
	if strings.HasPrefix(text, `"`) && json.Unmarshal(o[name], &text) != nil {
		return fmt.Errorf("%s is not a string", name)
	}
	if text == "" || len(text) > maxPhone || strings.Trim(text, "0123456789+-") != "" {
		return fmt.Errorf("%s is not 1 to %d digits", name, maxPhone)
	}
	*to = text
	return nil
}
