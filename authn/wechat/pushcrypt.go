package wechat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

const (
	// pushBlock is the block of the PKCS#7 padding, in bytes: AES has 16, the page "消息加解密" wants 32.
	pushBlock = 32
	// pushHeader is 16 random bytes and the length of the message in 4.
	pushHeader = 16 + 4
)

// errSealed is every way in which unseal fails.
var errSealed = errors.New("not sealed for us")

// unseal opens base64 of AES-256-CBC whose iv is the first half of the key: random, length, message, appid, padding. The
// caller has checked the signature over sealed, so that nobody can use the failures as an oracle.
func unseal(key []byte, sealed, appID string) ([]byte, error) {
	data, err := decodeBase64(sealed)
	if err != nil || len(data) == 0 || len(data)%pushBlock != 0 {
		return nil, errSealed
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	data, ok := unpadPush(data)
	if !ok || len(data) < pushHeader {
		return nil, errSealed
	}
	length, rest := binary.BigEndian.Uint32(data[16:pushHeader]), data[pushHeader:]
	if uint64(length) > uint64(len(rest)) || subtle.ConstantTimeCompare(rest[length:], []byte(appID)) != 1 {
		return nil, errSealed
	}
	return rest[:length:length], nil
}

// unpadPush removes 1 to 32 equal bytes.
func unpadPush(data []byte) ([]byte, bool) {
	n := int(data[len(data)-1])
	if n < 1 || n > pushBlock {
		return nil, false
	}
	end := len(data) - n
	padding := bytes.Repeat([]byte{byte(n)}, n)
	return data[:end], subtle.ConstantTimeCompare(data[end:], padding) == 1
}

// seal is the other direction of unseal. random is of 16 bytes.
func seal(key, random, message []byte, appID string) (string, error) {
	data := append(make([]byte, 0, pushHeader+len(message)+len(appID)+pushBlock), random...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(message)))
	data = append(append(data, message...), appID...)
	n := pushBlock - len(data)%pushBlock
	data = append(data, bytes.Repeat([]byte{byte(n)}, n)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(data), nil
}
