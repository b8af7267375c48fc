package pay

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Notification is what WeChat Pay tells, opened. It belongs to a merchant of ours.
type Notification struct {
	key     string // the same for every repetition
	appID   string // "": it names none
	content []byte // what the service gets: JSON
	cloud   bool   // it came through WeChat Cloud Run, which expects another answer
	trial   bool   // nothing is to be delivered: only the answer counts
}

var (
	errShape    = errors.New("the body is not a notification of WeChat Pay")
	errSealed   = errors.New("the notification is signed, but apiv3_key does not open it")
	errMerchant = errors.New("the notification is for another merchant than mchid")
)

// Events that are not like the others.
const (
	eventSelfTest = "SECURITY_ECHO.SUCCESS" // of POST /v3/security/echo, by which a merchant tries signatures and seals
	probeAction   = "CheckContainerPath"    // of WeChat Cloud Run, when the path is set
)

// open opens the body of a notification whose signature was verified.
func (m *Merchant) open(body []byte) (n Notification, err error) {
	envelope, err := parseObject(body)
	if err != nil {
		return n, refuse(outcomeMalformed, errShape)
	}
	id, event := envelope.text("id"), envelope.text("event_type")
	if id == "" || event == "" {
		return n, refuse(outcomeMalformed, errShape)
	}
	plain, err := m.unseal(envelope.get("resource"))
	if err != nil {
		return n, err
	}
	opened, err := parseObject(plain)
	if err != nil {
		return n, refuse(outcomeUnopened, errSealed)
	}
	if !m.owns(opened, event) {
		return n, refuse(outcomeOtherMerchant, errMerchant)
	}
	return Notification{
		key: keyOf(opened, id), appID: opened.text("appid"), content: envelope.with("resource", plain), trial: event == eventSelfTest,
	}, nil
}

// unseal opens a resource (AEAD_AES_256_GCM, RFC 5116).
func (m *Merchant) unseal(resource []byte) ([]byte, error) {
	var sealed struct {
		Algorithm      string `json:"algorithm"`
		Ciphertext     string `json:"ciphertext"`
		AssociatedData string `json:"associated_data"` // may be absent
		Nonce          string `json:"nonce"`
	}
	if json.Unmarshal(resource, &sealed) != nil || sealed.Algorithm != "AEAD_AES_256_GCM" || len(sealed.Nonce) != m.seal.NonceSize() {
		return nil, refuse(outcomeMalformed, errShape)
	}
	text, err := base64.StdEncoding.DecodeString(sealed.Ciphertext)
	if err != nil {
		return nil, refuse(outcomeMalformed, errShape)
	}
	plain, err := m.seal.Open(nil, []byte(sealed.Nonce), text, []byte(sealed.AssociatedData))
	if err != nil {
		return nil, refuse(outcomeUnopened, errSealed)
	}
	return plain, nil
}

// merchantFields are the names by which what is opened names merchants: of orders, of service providers (sp, sub), and of orders that
// are paid together (合单).
func merchantFields() []string {
	return []string{"mchid", "sp_mchid", "sub_mchid", "mch_id", "combine_mchid"}
}

// owns reports whether one of the merchants that are named is ours. Payments and refunds name one; complaints and others may
// name none, and then the seal alone says whose they are.
func (m *Merchant) owns(opened object, event string) bool {
	named := opened.texts(merchantFields()...)
	if len(named) == 0 {
		return !strings.HasPrefix(event, "TRANSACTION.") && !strings.HasPrefix(event, "REFUND.")
	}
	return slices.Contains(named, m.mchID)
}

// keyOf is what all repetitions have in common: an order or a refund with its state, whatever id says, or id for what is
// about neither. Orders of sub-merchants may have one number.
func keyOf(opened object, id string) string {
	merchants := opened.texts(merchantFields()...)
	if refund, status := opened.text("out_refund_no"), opened.text("refund_status"); refund != "" && status != "" {
		return digest("refund", refund, status, merchants)
	}
	if order, state := opened.text("out_trade_no"), opened.text("trade_state"); order != "" && state != "" {
		return digest("order", order, state, merchants)
	}
	return digest("id", id)
}

// openUnsigned reads what WeChat Cloud Run passes on: plain JSON that nobody has signed.
func (m *Merchant) openUnsigned(body []byte) (Notification, error) {
	n := Notification{content: body, cloud: true}
	told, err := parseObject(body)
	if err != nil {
		return n, refuse(outcomeMalformed, errShape)
	}
	if told.text("action") == probeAction && len(told) == 1 {
		n.trial = true
		return n, nil
	}
	merchants := told.texts("mchId", "subMchId")
	if !slices.Contains(merchants, m.mchID) {
		return n, refuse(outcomeOtherMerchant, errMerchant)
	}
	n.appID = told.text("appid")
	if order := told.text("outTradeNo"); order != "" {
		n.key = digest("cloud order", order, told.text("outRefundNo"), told.text("refundStatus"), told.text("resultCode"), merchants)
	} else {
		n.key = digest("cloud", string(body))
	}
	return n, nil
}

// digest is a short text that differs for different parts.
func digest(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:])
}

// object is the members of a JSON object, in their order; the values are as they were written, so that numbers keep their
// digits. Names match exactly, and none is there twice: a service could take the other one.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// maxMembers is how many members an object has at most; those of WeChat Pay have below 30.
const maxMembers = 256

var errNoObject = errors.New("not one JSON object")

// parseObject reads a text that is one JSON object.
func parseObject(text []byte) (o object, err error) {
	if !utf8.Valid(text) {
		return nil, errNoObject
	}
	in := json.NewDecoder(bytes.NewReader(text))
	if begins, err := in.Token(); err != nil || begins != json.Delim('{') {
		return nil, errNoObject
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, errNoObject
		}
		m := member{name: fmt.Sprint(name)} // names of members are strings
		if in.Decode(&m.value) != nil || o.get(m.name) != nil || len(o) == maxMembers {
			return nil, errNoObject
		}
		o = append(o, m)
	}
	if _, err := in.Token(); err != nil { // the brace
		return nil, errNoObject
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoObject
	}
	return o, nil
}

// get is the value of a member, nil if there is none.
func (o object) get(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text is the text of a member that is a string, "" if there is none.
func (o object) text(name string) (text string) {
	_ = json.Unmarshal(o.get(name), &text) // else it is no string
	return text
}

// texts are the texts of those members that are there.
func (o object) texts(names ...string) (all []string) {
	for _, name := range names {
		if text := o.text(name); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// with writes the object with another value for a member that it has.
func (o object) with(name string, value []byte) []byte {
	text := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			text = append(text, ',')
		}
		quoted, _ := json.Marshal(m.name) // strings always encode
		text = append(append(text, quoted...), ':')
		if m.name == name {
			m.value = value
		}
		text = append(text, m.value...)
	}
	return append(text, '}')
}
