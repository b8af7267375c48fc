package pay

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wxgate/gateway/header"
	"wxgate/message"
)

const (
	maxAge           = 5 * time.Minute // by which a timestamp may be off, in either direction
	maxFieldBytes    = 128             // of a timestamp, nonce or serial; real ones are below 60
	maxSignature     = 1 << 10         // bytes, in base64; that of RSA4096 has 684
	signatureType    = "WECHATPAY2-SHA256-RSA2048"
	signatureOfTests = "WECHATPAY/SIGNTEST/" // in signatures that WeChat Pay makes wrong on purpose, to see them refused
)

// Signature is the signature of a notification whose body is still to come.
type Signature struct {
	timestamp, nonce string
	value            []byte
	key              *rsa.PublicKey
}

var (
	errIncomplete = errors.New("a header of the signature of WeChat Pay is missing, is there twice, or is malformed")
	errProbe      = errors.New("the signature is wrong on purpose: WeChat Pay tests whether that is noticed")
	errOld        = errors.New("the timestamp is more than 5 minutes off")
	errSerial     = errors.New("wechat_pay has no public key or certificate of this Wechatpay-Serial")
	errForged     = errors.New("the signature is not that of WeChat Pay")
)

// readSignature reads the headers of a signature, and finds its key.
func (m *Merchant) readSignature(fields *message.Fields, now time.Time) (s Signature, err error) {
	var encoded, serial string
	for name, into := range map[string]*string{
		"Wechatpay-Timestamp": &s.timestamp, "Wechatpay-Nonce": &s.nonce, "Wechatpay-Signature": &encoded, "Wechatpay-Serial": &serial,
	} {
		most := maxFieldBytes
		if into == &encoded {
			most = maxSignature
		}
		if *into = header.One(fields, name); *into == "" || len(*into) > most || strings.ContainsFunc(*into, notVisible) {
			return s, refuse(outcomeMalformed, errIncomplete)
		}
	}
	if strings.Contains(encoded, signatureOfTests) {
		return s, refuse(outcomeProbe, errProbe)
	}
	if kind := header.One(fields, "Wechatpay-Signature-Type"); kind != signatureType && fields.Has("Wechatpay-Signature-Type") {
		return s, refuse(outcomeMalformed, errIncomplete)
	}
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil {
		return s, refuse(outcomeMalformed, errIncomplete)
	}
	if age := now.Sub(time.Unix(seconds, 0)); age >= maxAge || age <= -maxAge {
		return s, refuse(outcomeStale, errOld)
	}
	if s.value, err = base64.StdEncoding.DecodeString(encoded); err != nil {
		return s, refuse(outcomeForged, errForged)
	}
	if s.key = m.verifier(serial, now); s.key == nil {
		return s, refuse(outcomeUnknownSerial, fmt.Errorf("%w: %.64s", errSerial, serial)) // no secret, and visible characters
	}
	return s, nil
}

func notVisible(r rune) bool { return r <= 0x20 || r >= 0x7f }

// verify refuses a body that was not signed.
func (s Signature) verify(body []byte) error {
	signed := sha256.New()
	for _, part := range [][]byte{[]byte(s.timestamp), []byte(s.nonce), body} {
		_, _ = signed.Write(part) // a hash never fails
		_, _ = signed.Write([]byte{'\n'})
	}
	if s.key == nil || rsa.VerifyPKCS1v15(s.key, crypto.SHA256, signed.Sum(nil), s.value) != nil {
		return refuse(outcomeForged, errForged)
	}
	return nil
}
