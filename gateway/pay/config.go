package pay

import (
	"fmt"
	"regexp"
	"slices"

	"wxgate/input"
	"wxgate/secret"
)

// Config is routes[].wechat_pay: the merchant whose notifications a route takes. The zero value is none.
type Config struct {
	MchID        string      `yaml:"mchid"`        // the merchant's number (商户号)
	APIv3Key     secret.Text `yaml:"apiv3_key"`    // 32 bytes, with which WeChat Pay seals
	PublicKeys   []PublicKey `yaml:"public_keys"`  // of WeChat Pay (微信支付公钥)
	Certificates []string    `yaml:"certificates"` // files of platform certificates (平台证书), in PEM
}

// PublicKey is a public key of WeChat Pay, as the merchant console shows it.
type PublicKey struct {
	ID   string `yaml:"id"`   // PUB_KEY_ID_…
	File string `yaml:"file"` // in PEM
}

// apiV3KeyBytes is the length of an APIv3 key.
const apiV3KeyBytes = 32

// maxKeys bounds the public keys and the certificates of a merchant, each.
const maxKeys = 16

// IsZero reports whether nothing is configured.
func (c Config) IsZero() bool { return c.MchID == "" && c.hasNoKeys() }

// hasNoKeys reports whether the section has nothing by which a signature could be checked, as on WeChat Cloud Run, whose
// notifications have none.
func (c Config) hasNoKeys() bool {
	return c.APIv3Key == "" && len(c.PublicKeys) == 0 && len(c.Certificates) == 0
}

// ValidateUnsigned is Validate where WeChat Cloud Run vouches for notifications: the number of the merchant is enough.
func (c Config) ValidateUnsigned() input.Faults {
	if c.hasNoKeys() {
		return c.validateMchID()
	}
	return c.Validate()
}

// Validate reports the faults of the section. It reads no file.
func (c Config) Validate() input.Faults {
	f := c.validateMchID()
	switch key := c.APIv3Key.Reveal(); {
	case key == "":
		f.Add("apiv3_key", "is empty; it is the APIv3 key (APIv3密钥) of the merchant console")
	case secret.Mistake(key) != "":
		f.Add("apiv3_key", "%s", secret.Mistake(key))
	case len(key) != apiV3KeyBytes:
		f.Add("apiv3_key", "has %d bytes; an APIv3 key has %d", len(key), apiV3KeyBytes)
	}
	if len(c.PublicKeys)+len(c.Certificates) == 0 {
		f.Add("public_keys", "is empty, and so is certificates: no signature could be checked")
	}
	if len(c.PublicKeys) > maxKeys {
		f.Add("public_keys", "has %d entries; %d are the most", len(c.PublicKeys), maxKeys)
	}
	if len(c.Certificates) > maxKeys {
		f.Add("certificates", "has %d entries; %d are the most", len(c.Certificates), maxKeys)
	}
	c.validateNames(&f)
	return f
}

func (c Config) validateMchID() (f input.Faults) {
	if !regexp.MustCompile(`^[0-9]{4,32}$`).MatchString(c.MchID) {
		f.Add("mchid", "%q is not the number of a merchant (商户号)", c.MchID)
	}
	return f
}

// validateNames reports faults of the IDs and the names of files.
func (c Config) validateNames(f *input.Faults) {
	id := regexp.MustCompile(`^PUB_KEY_ID_[0-9A-Za-z]{1,100}$`)
	for i, key := range c.PublicKeys {
		path := fmt.Sprintf("public_keys[%d].", i)
		switch {
		case !id.MatchString(key.ID):
			f.Add(path+"id", "%q is not an ID of the merchant console, which begins with PUB_KEY_ID_", key.ID)
		case slices.ContainsFunc(c.PublicKeys[:i], func(other PublicKey) bool { return other.ID == key.ID }):
			f.Add(path+"id", "%s is listed twice", key.ID)
		}
		if key.File == "" {
			f.Add(path+"file", "is empty; it is the file of the public key, pub_key.pem")
		}
	}
	for i, file := range c.Certificates {
		if path := fmt.Sprintf("certificates[%d]", i); file == "" {
			f.Add(path, "is empty; it is the file of a platform certificate")
		} else if slices.Contains(c.Certificates[:i], file) {
			f.Add(path, "%s is listed twice", file)
		}
	}
}

// Files are those that the section names.
func (c Config) Files() (files []string) {
	for _, key := range c.PublicKeys {
		files = append(files, key.File)
	}
	files = append(files, c.Certificates...)
	return slices.DeleteFunc(files, func(file string) bool { return file == "" })
}
