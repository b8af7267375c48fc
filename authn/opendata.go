package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// ErrSessionKeyStale is encryptedData that none of the user's session_keys decrypts, because wx.login has given the
// phone a newer key. The remedy is wx.login followed by the button once more. Logging in again does not help with the
// data at hand, so this is never a 401.
var ErrSessionKeyStale = errors.New("none of the user's session_keys decrypts the data")

// ErrNotOpened is an ErrSessionKeyStale after keys were tried. It does not say why they failed: CBC is not
// authenticated, and any difference between answers would let a client assemble data of its own.
var ErrNotOpened = fmt.Errorf("%w: all were tried", ErrSessionKeyStale)

// Encrypted is what wx.getPhoneNumber, wx.getWeRunData, wx.getShareInfo and wx.getUserInfo give a mini-program.
type Encrypted struct {
	Data      string  `json:"encryptedData"`
	IV        string  `json:"iv"`
	RawData   *string `json:"rawData"` // with Signature: checked as sha1(rawData + session_key)
	Signature *string `json:"signature"`
}

func (e Encrypted) validate() error {
	if e.Data == "" || e.IV == "" {
		return &FieldError{"encryptedData", "与 iv 都不能为空"}
	}
	if (e.RawData == nil) != (e.Signature == nil) {
		return &FieldError{"rawData", "与 signature 必须同时提供"}
	}
	return nil
}

// OpenData decrypts the open data that WeChat gives a mini-program (开放数据), obtains phone numbers, and manages the
// session_keys for it.
type OpenData struct {
	store   Store
	apps    apps
	metrics *metrics
	log     *slog.Logger
	now     func() time.Time
}

// Decrypt decrypts data with the user's session_keys, newest first. A key fits if padding, JSON, the appid of the
// watermark and, where given, the signature of rawData are valid, and any openId in the data is the user's own. The
// result proves nothing: a client that tries often enough can get any data decrypted. Errors are a *FieldError,
// ErrNotOpened, ErrSessionKeyStale for a user without a key, or an error of storage. Callers that expose Decrypt to
// clients must limit ErrNotOpened.
func (o *OpenData) Decrypt(ctx context.Context, s Subject, e Encrypted) (json.RawMessage, error) {
	opened, err := o.decrypt(ctx, s, e)
	o.observeDecryption(ctx, s, err)
	return opened, err
}

func (o *OpenData) decrypt(ctx context.Context, s Subject, e Encrypted) (json.RawMessage, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	_, keys, err := o.keysOf(ctx, s.UserID, s.AppID)
	if err != nil {
		return nil, fmt.Errorf("reading session_keys: %w", err)
	}
	if len(keys) == 0 {
		return nil, ErrSessionKeyStale
	}
	for _, key := range keys {
		opened, err := e.open(key, s)
		if err == nil || errors.Is(err, ErrInvalidRequest) {
			return opened, err
		}
	}
	return nil, ErrNotOpened
}

func (e Encrypted) open(key storage.SessionKey, s Subject) (json.RawMessage, error) {
	opened, err := wechat.Decrypt(key.Key, e.IV, e.Data, s.AppID)
	if errors.Is(err, wechat.ErrMalformed) {
		return nil, &FieldError{"encryptedData", "或 iv 的格式不对"}
	}
	if err != nil {
		return nil, err
	}
	signed := e.Signature == nil || wechat.ValidSignature(*e.RawData, key.Key, *e.Signature)
	if !signed || !wechat.OwnedBy(opened, s.OpenID) {
		return nil, ErrNotOpened
	}
	return opened, nil
}

// observeDecryption counts an attempt, and warns of data that did not open: in numbers they are somebody who tries out
// ciphertexts of his own.
func (o *OpenData) observeDecryption(ctx context.Context, s Subject, err error) {
	o.metrics.decryptions.WithLabelValues(resultOf(err, ofDecryptions())).Inc()
	if errors.Is(err, ErrNotOpened) {
		o.log.WarnContext(ctx, "encrypted data that do not open", "user", s.UserID)
	}
}

// CheckSessionKey reports whether the user's newest session_key is still valid at WeChat (page checkSessionKey). It is
// meant for operators; logins and decryption do not need it.
func (o *OpenData) CheckSessionKey(ctx context.Context, userID int64) (bool, error) {
	of, user, key, err := o.newestKey(ctx, userID, "")
	if err != nil {
		return false, err
	}
	valid, err := of.client.CheckSession(ctx, user.OpenID, key.Key)
	if err != nil {
		return false, WeChatFailure(err)
	}
	if !valid {
		err = o.MarkStale(ctx, newSigningKey(key))
	}
	return valid, err
}

// ResetSessionKey has WeChat replace the user's session_key and saves the new one (page resetUserSessionKey), for a key
// that may have leaked.
func (o *OpenData) ResetSessionKey(ctx context.Context, userID int64) error {
	of, user, key, err := o.newestKey(ctx, userID, "")
	if err != nil {
		return err
	}
	start := o.now()
	reset, err := of.client.ResetSessionKey(ctx, user.OpenID, key.Key)
	if err != nil {
		return WeChatFailure(err)
	}
	_, err = o.store.Login(context.WithoutCancel(ctx), storage.Login{
		AppID: user.AppID, OpenID: user.OpenID, SessionKey: storage.SessionKey{Key: reset.SessionKey, At: start},
	})
	if err != nil {
		return fmt.Errorf("saving a session_key: %w", err)
	}
	return nil
}

// newestKey is the newest session_key of a user in a mini-program, and the account it is of; ErrSessionKeyStale when there is
// none. An empty appID stands for that of the user's own record.
func (o *OpenData) newestKey(ctx context.Context, userID int64, appID string) (of *app, account storage.User, key storage.SessionKey, err error) {
	account, keys, err := o.keysOf(ctx, userID, appID)
	if err != nil {
		return nil, account, key, err
	}
	if of, err = o.apps.find(account.AppID); err != nil {
		return nil, account, key, err
	}
	if len(keys) == 0 {
		return nil, account, key, ErrSessionKeyStale
	}
	return of, account, keys[0], nil
}

// keysOf are the session_keys that a mini-program has given a user, newest first, and the account they are of.
func (o *OpenData) keysOf(ctx context.Context, userID int64, appID string) (account storage.User, keys []storage.SessionKey, err error) {
	if account, err = o.store.Account(ctx, userID, appID); err == nil {
		keys, err = o.store.SessionKeys(ctx, account.ID)
	}
	return account, keys, err
}
