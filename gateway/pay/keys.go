package pay

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/input"
)

// Keys are what the files of a Config hold. They never change. Nil has none.
type Keys struct {
	bySerial     map[string]*rsa.PublicKey // by what Wechatpay-Serial says
	certificates []certificate
}

// certificate is a platform certificate, and the key of the section that names it.
type certificate struct {
	*x509.Certificate
	path, file string
}

// minKeyBits is the size of the keys of WeChat Pay (RSA2048).
const minKeyBits = 2048

// Load reads the files. The faults name each that does not hold what it should.
func (c Config) Load() (*Keys, input.Faults) {
	k, f := &Keys{bySerial: map[string]*rsa.PublicKey{}}, input.Faults{}
	for i, each := range c.PublicKeys {
		key, err := readPublicKey(each.File)
		if err != nil {
			f.Add(fmt.Sprintf("public_keys[%d].file", i), "%v", err)
			continue
		}
		k.bySerial[each.ID] = key
	}
	for i, file := range c.Certificates {
		path := fmt.Sprintf("certificates[%d]", i)
		all, err := readCertificates(file)
		if err == nil {
			err = k.add(all, c.MchID, path, file)
		}
		if err != nil {
			f.Add(path, "%v", err)
		}
	}
	return k, f
}

// add adds the certificates of a file.
func (k *Keys) add(all []*x509.Certificate, mchID, path, file string) error {
	for _, each := range all {
		key, isRSA := each.PublicKey.(*rsa.PublicKey)
		serial := fmt.Sprintf("%X", each.SerialNumber)
		switch {
		case each.Subject.CommonName == mchID:
			return fmt.Errorf("%s is the merchant's own certificate (apiclient_cert.pem), which signs requests to WeChat Pay; a platform certificate (平台证书) signs what comes from there", file)
		case !isRSA || key.N.BitLen() < minKeyBits:
			return fmt.Errorf("%s has no RSA key of %d bits", file, minKeyBits)
		case k.bySerial[serial] != nil:
			return fmt.Errorf("%s has the serial %s, as another one has", file, serial)
		}
		k.bySerial[serial] = key
		k.certificates = append(k.certificates, certificate{each, path, file})
	}
	return nil
}

// of is the key by which a serial signs, nil for an unknown one.
func (k *Keys) of(serial string) *rsa.PublicKey {
	if k == nil {
		return nil
	}
	if !strings.HasPrefix(serial, "PUB_KEY_ID_") { // tools write the number of a certificate in either case, and some pad it
		serial = strings.TrimLeft(strings.ToUpper(serial), "0")
	}
	return k.bySerial[serial]
}

var (
	errPrivate   = errors.New("is a private key: nothing here needs one, so keep it where payments are ordered")
	errNoKey     = errors.New("has no PUBLIC KEY in PEM")
	errNoRSA     = errors.New("has a key that is not RSA of 2048 bits")
	errNoCert    = errors.New("has no CERTIFICATE in PEM")
	errCutOff    = errors.New("is cut off")
	errTwoOrMore = errors.New("has more than the one public key")
)

// readPublicKey reads a file with one key.
func readPublicKey(file string) (*rsa.PublicKey, error) {
	blocks, err := readPEM(file)
	switch {
	case err != nil:
		return nil, err
	case len(blocks) == 0 || blocks[0].Type != "PUBLIC KEY":
		return nil, fmt.Errorf("%s %w", file, errNoKey)
	case len(blocks) > 1:
		return nil, fmt.Errorf("%s %w", file, errTwoOrMore)
	}
	parsed, err := x509.ParsePKIXPublicKey(blocks[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, isRSA := parsed.(*rsa.PublicKey)
	if !isRSA || key.N.BitLen() < minKeyBits {
		return nil, fmt.Errorf("%s %w", file, errNoRSA)
	}
	return key, nil
}

// readCertificates reads a file with one certificate or more.
func readCertificates(file string) (all []*x509.Certificate, err error) {
	blocks, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s %w", file, errNoCert)
		}
		each, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, each)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s %w", file, errNoCert)
	}
	return all, nil
}

// readPEM reads all blocks of a file, none of which may be a private key.
func readPEM(file string) (blocks []*pem.Block, err error) {
	text, err := input.File(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE") {
			return nil, fmt.Errorf("%s %w", file, errPrivate)
		}
		blocks, text = append(blocks, block), rest
	}
	if bytes.Contains(text, []byte("-----B")) { // in the midst of being written
		return nil, fmt.Errorf("%s %w", file, errCutOff)
	}
	return blocks, nil
}

// expiringSoon is when an expiring certificate is warned about: WeChat Pay has issued the next one by then.
const expiringSoon = 30 * 24 * time.Hour

// Warnings are about certificates by which WeChat Pay does not sign, or soon will not.
func (k *Keys) Warnings(now time.Time) (ws input.Warnings) {
	for _, each := range k.certificates {
		switch left := each.NotAfter.Sub(now); {
		case left <= 0:
			ws.Warn("pay-certificate-expired", each.path, "%s has expired on %s: WeChat Pay signs with another one", each.file, day(each.NotAfter))
		case left < expiringSoon:
			ws.Warn("pay-certificate-expires", each.path, "%s expires on %s: add the next one, or the public key (微信支付公钥), beside it", each.file, day(each.NotAfter))
		}
		if each.NotBefore.After(now) {
			ws.Warn("pay-certificate-early", each.path, "%s is valid from %s on, which by our clock is later", each.file, day(each.NotBefore))
		}
	}
	return ws
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
