package authn

import (
	"context"
	"errors"
	"fmt"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// ErrPhoneCodeRequired refuses encrypted data where phone numbers are only accepted as a code of the button.
var ErrPhoneCodeRequired = errors.New("a phone number requires the code of the button")

// PhoneRequest is what a mini-program sends after a getPhoneNumber button: the code (base library 2.21.2 or later), or
// the encrypted data of older versions.
type PhoneRequest struct {
	Code string `json:"code"`
	Encrypted

	ByDecryption bool `json:"-"` // accept encrypted data as well: wechat.phone_by_decryption
}

// Validate checks what needs neither WeChat nor the store. It returns a *FieldError or ErrPhoneCodeRequired.
func (r PhoneRequest) Validate() error {
	switch {
	case r.Code != "" && !wechat.ValidCode(r.Code):
		return &FieldError{"code", "不是 getPhoneNumber 返回的 code"}
	case r.Code != "":
		return nil
	case r.Data == "":
		return &FieldError{"code", "不能为空"}
	case !r.ByDecryption:
		return ErrPhoneCodeRequired
	}
	return r.validate()
}

// Phone obtains the user's phone number, saves it sealed and returns it; only the user may see it. Errors are those of
// Validate, a *WeChatError, ErrNotOpened or an error of storage.
func (o *OpenData) Phone(ctx context.Context, s Subject, r PhoneRequest) (storage.Phone, error) {
	if err := r.Validate(); err != nil {
		return storage.Phone{}, err
	}
	phone, err := o.phone(ctx, s, r)
	if err != nil {
		return storage.Phone{}, err
	}
	kept := storage.Phone{Number: phone.Number, PureNumber: phone.PureNumber, CountryCode: phone.CountryCode}
	if err := o.store.SetPhone(ctx, s.UserID, kept); err != nil {
		return storage.Phone{}, fmt.Errorf("saving a phone number: %w", err)
	}
	return kept, nil
}

func (o *OpenData) phone(ctx context.Context, s Subject, r PhoneRequest) (wechat.Phone, error) {
	if r.Code == "" {
		return o.decryptPhone(ctx, s, r.Encrypted)
	}
	found, err := o.apps.find(s.AppID)
	if err != nil {
		return wechat.Phone{}, err
	}
	return found.phone(ctx, r.Code, s.OpenID)
}

// decryptPhone reads the number of an old base library. What opens but is no number of just now is as good as unopened,
// and answered like it.
func (o *OpenData) decryptPhone(ctx context.Context, s Subject, e Encrypted) (phone wechat.Phone, err error) {
	defer func() { o.observeDecryption(ctx, s, err) }()
	opened, err := o.decrypt(ctx, s, e)
	if err != nil {
		return wechat.Phone{}, err
	}
	if phone, err = wechat.SealedPhone(opened, o.now()); err != nil {
		return wechat.Phone{}, ErrNotOpened
	}
	return phone, nil
}

// PhoneOf returns the phone number that a user gave, or storage.ErrNotFound.
func (o *OpenData) PhoneOf(ctx context.Context, userID int64) (storage.Phone, error) {
	return o.store.Phone(ctx, userID)
}
