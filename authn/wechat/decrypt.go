package wechat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
)

// blockSize is AES's, in bytes: the length of a session_key, of an iv and of the largest PKCS#7 padding. Libraries that
// accept a padding of 32 copied the rule of message push, which is another protocol.
const blockSize = aes.BlockSize

// The two errors of Decrypt. They are constant and do not tell bad padding from bad JSON or the wrong appid, so that
// they are no oracle.
var (
	// ErrMalformed is an iv or encryptedData that no key could decrypt: not base64, or of the wrong length.
	ErrMalformed = errors.New("iv or encryptedData is malformed")
	// ErrDecrypt is data that this session_key does not decrypt, most often because a later wx.login replaced the key.
	ErrDecrypt = errors.New("session_key does not open encryptedData")
)

// Decrypt decrypts the encryptedData of an open-data button: AES-128-CBC with PKCS#7, with session_key and iv in base64
// (page "开放数据校验与解密"). It returns the JSON object inside, whose watermark.appid is appID, or ErrMalformed or ErrDecrypt.
// CBC is not authenticated: a client can alter the first block through the iv, so an openId in the result proves
// nothing. Checking watermark.timestamp is up to the caller.
func Decrypt(sessionKey, iv, encryptedData, appID string) (json []byte, err error) {
	vector, err := decodeBase64(iv)
	if err != nil || len(vector) != blockSize {
		return nil, ErrMalformed
	}
	data, err := decodeBase64(encryptedData)
	if err != nil || len(data) == 0 || len(data)%blockSize != 0 {
		return nil, ErrMalformed
	}
	key, err := decodeBase64(sessionKey)
	if err != nil || len(key) != blockSize {
		return nil, ErrDecrypt
	}
	return open(key, vector, data, appID)
}

// open decrypts data in place; every length is known to be right.
func open(key, vector, data []byte, appID string) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	plain, padded := unpad(data)
	marked := watermarked(plain, appID) // whether or not the padding holds, so that time does not tell which of the two failed
	if !padded || !marked {
		return nil, ErrDecrypt
	}
	return plain, nil
}

// unpad removes PKCS#7 (RFC 5652 §6.3) and looks at all of the last block, whatever it finds. Data without a padding come
// back whole.
func unpad(data []byte) ([]byte, bool) {
	n := int(data[len(data)-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, blockSize)
	for i := 1; i <= blockSize; i++ {
		inPadding := subtle.ConstantTimeLessOrEq(i, n)
		equal := subtle.ConstantTimeByteEq(data[len(data)-i], byte(n))
		good &= equal | (1 - inPadding)
	}
	if good != 1 {
		return data, false
	}
	return data[:len(data)-n], true
}

// watermarked reports whether plain is a JSON object that WeChat made for appID.
func watermarked(plain []byte, appID string) bool {
	outer, err := parseObject(plain)
	if err != nil {
		return false
	}
	mark, err := parseObject(bytes.TrimSpace(outer["watermark"]))
	if err != nil {
		return false
	}
	got, err := mark.text("appid")
	return err == nil && got != "" && got == appID
}
