package authn

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// PhoneRequest is what a mini-program sends after a getPhoneNumber button: the code of a new base library, or the
// encrypted data of an old one.
type PhoneRequest struct {
	Code string `json:"code"`
	Encrypted
}

// Phone finds out the user's phone number, remembers it sealed and returns it to the user alone.
func (a *Authn) Phone(ctx context.Context, s Subject, r PhoneRequest) (storage.Phone, error) {
	phone, err := a.phone(ctx, s, r)
	if err != nil {
		return storage.Phone{}, err
	}
	if err := a.store.SetPhone(ctx, s.UserID, phone); err != nil {
		return storage.Phone{}, fmt.Errorf("remembering a phone number: %w", err)
	}
	return phone, nil
}

func (a *Authn) phone(ctx context.Context, s Subject, r PhoneRequest) (storage.Phone, error) {
	if r.Code == "" {
		return a.decryptPhone(ctx, s, r.Encrypted)
	}
	if !wechat.ValidCode(r.Code) {
		return storage.Phone{}, &FieldError{"code", "不是 getPhoneNumber 返回的 code"}
	}
	found, err := a.appOf(s.AppID)
	if err != nil {
		return storage.Phone{}, err
	}
	answer, err := found.client.PhoneNumber(ctx, r.Code)
	if err != nil {
		return storage.Phone{}, weChatError(err)
	}
	return storage.Phone{Number: answer.Number, PureNumber: answer.PureNumber, CountryCode: answer.CountryCode}, nil
}

// decryptPhone reads the number of an old base library. countryCode is documented as a string and given as a number.
func (a *Authn) decryptPhone(ctx context.Context, s Subject, e Encrypted) (storage.Phone, error) {
	opened, err := a.Decrypt(ctx, s, e)
	if err != nil {
		return storage.Phone{}, err
	}
	var phone struct {
		Number      string          `json:"phoneNumber"`
		PureNumber  string          `json:"purePhoneNumber"`
		CountryCode json.RawMessage `json:"countryCode"`
	}
	if err := json.Unmarshal(opened, &phone); err != nil || !validPhone(phone.Number) || !validPhone(phone.PureNumber) {
		return storage.Phone{}, &FieldError{"encryptedData", "里没有手机号"}
	}
	return storage.Phone{Number: phone.Number, PureNumber: phone.PureNumber, CountryCode: string(unquoted(phone.CountryCode))}, nil
}

// validPhone says whether a number is digits, perhaps behind a plus (E.164: at most 15).
func validPhone(number string) bool {
	digits := strings.TrimPrefix(number, "+")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return digits != "" && len(digits) <= 15
}

// PhoneOf returns the phone number that a user gave, or storage.ErrNotFound.
func (a *Authn) PhoneOf(ctx context.Context, userID int64) (storage.Phone, error) {
	return a.store.Phone(ctx, userID)
}
