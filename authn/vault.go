package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// ErrSessionKeyStale is data that none of the user's session_keys opens: wx.login has given the phone a newer one. The
// remedy is wx.login and the button once more; logging in again alone does not open data that is there already, so this
// is never a 401.
var ErrSessionKeyStale = errors.New("no session_key of the user opens the data")

// Encrypted is what wx.getPhoneNumber, wx.getWeRunData, wx.getShareInfo and wx.getUserInfo give a mini-program.
type Encrypted struct {
	Data      string  `json:"encryptedData"`
	IV        string  `json:"iv"`
	RawData   *string `json:"rawData"` // with Signature: checked as sha1(rawData + session_key)
	Signature *string `json:"signature"`
}

// Decrypt opens data with the user's session_keys, the newest first. It is taken for opened when padding, JSON and the
// watermark's appid hold; an openId in it must be the user's own, for the ciphertext's first block can be forged.
func (a *Authn) Decrypt(ctx context.Context, s Subject, e Encrypted) (json.RawMessage, error) {
	if e.Data == "" || e.IV == "" {
		return nil, &FieldError{"encryptedData", "与 iv 都不能为空"}
	}
	if (e.RawData == nil) != (e.Signature == nil) {
		return nil, &FieldError{"rawData", "与 signature 必须同时提供"}
	}
	keys, err := a.store.SessionKeys(ctx, s.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading session_keys: %w", err)
	}
	for _, key := range keys {
		opened, err := e.open(key, s)
		if err == nil || errors.Is(err, ErrInvalidRequest) {
			return opened, err
		}
	}
	return nil, ErrSessionKeyStale
}

func (e Encrypted) open(key storage.SessionKey, s Subject) (json.RawMessage, error) {
	opened, err := wechat.Decrypt(key.Key, e.IV, e.Data, s.AppID)
	if errors.Is(err, wechat.ErrMalformed) {
		return nil, &FieldError{"encryptedData", "或 iv 的格式不对"}
	}
	if err != nil {
		return nil, err
	}
	if e.Signature != nil && !wechat.ValidSignature(*e.RawData, key.Key, *e.Signature) {
		return nil, &FieldError{"signature", "与 rawData 不符"}
	}
	var who struct {
		OpenID *string `json:"openId"`
	}
	if err := json.Unmarshal(opened, &who); err != nil || who.OpenID != nil && *who.OpenID != s.OpenID {
		return nil, &FieldError{"encryptedData", "属于另一位用户"}
	}
	return opened, nil
}
