package wechat

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// xmlType is the content type of the older of the two formats.
const xmlType = "text/xml"

// NewMessage is a message that is plain and that nobody signed, as WeChat Cloud Run brings it.
func NewMessage(body []byte) (Message, error) { return messageOf(body) }

// messageOf tells JSON from XML by the first character, and wants all of it to be well-formed.
func messageOf(body []byte) (Message, error) {
	if _, err := parseObject(body); err == nil {
		return Message{Body: body, ContentType: jsonType}, nil
	}
	if _, err := parseXML(body); err == nil {
		return Message{Body: body, ContentType: xmlType}, nil
	}
	return Message{}, errPush
}

// newSealedShape matches an Encrypt in JSON, whose / may be escaped, or in XML.
func newSealedShape() *regexp.Regexp {
	return regexp.MustCompile(`"Encrypt"\s*:\s*"((?:[0-9A-Za-z+/=]|\\/)+)"|<Encrypt>\s*(?:<!\[CDATA\[)?([0-9A-Za-z+/=]+)(?:\]\]>)?\s*</Encrypt>`)
}

// sealedIn finds the one Encrypt in a body that nobody has vouched for yet, without parsing it; "" is none, or more than one.
func (p *Push) sealedIn(body []byte) string {
	all := p.sealed.FindAllSubmatch(body, 2)
	if len(all) != 1 {
		return ""
	}
	return strings.ReplaceAll(string(all[0][1])+string(all[0][2]), `\/`, "/")
}

// envelope returns the Encrypt member of a JSON or XML body.
func envelope(body []byte) (string, error) {
	if members, err := parseObject(body); err == nil {
		return members.text("Encrypt")
	}
	found, err := parseXML(body)
	if err != nil || len(found.Encrypt) != 1 {
		return "", errors.New("not one Encrypt")
	}
	return found.Encrypt[0], nil
}

// pushXML is the root of an XML body.
type pushXML struct {
	XMLName xml.Name `xml:"xml"`
	Encrypt []string `xml:"Encrypt"`
}

// parseXML reads exactly one <xml> element. encoding/xml knows no entities but the five of XML, fetches nothing, and
// takes only UTF-8.
func parseXML(body []byte) (pushXML, error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	var found pushXML
	if err := decoder.Decode(&found); err != nil {
		return pushXML{}, errors.New("broken XML")
	}
	rest, err := decoder.Token()
	if text, ok := rest.(xml.CharData); ok && len(bytes.TrimSpace(text)) == 0 {
		_, err = decoder.Token()
	}
	if !errors.Is(err, io.EOF) {
		return pushXML{}, errors.New("something follows the XML element")
	}
	return found, nil
}

// Sealed is a message for the one who has the same Token and EncodingAESKey.
type Sealed struct {
	Encrypt   string // base64
	Signature string // over the other three; msg_signature in a query, MsgSignature in a body
	Timestamp string // seconds since 1970
	Nonce     string // 10 digits
}

// Seal makes a passive reply, or, on the side of the sandbox, a push. It fails in plain mode, where nothing is sealed, and
// for a message above 1 MiB.
func (p *Push) Seal(message []byte, at time.Time) (Sealed, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return p.sealWith(random[:], newNonce(), message, at)
}

// sealWith is Seal with all that is random.
func (p *Push) sealWith(random []byte, nonce string, message []byte, at time.Time) (Sealed, error) {
	if p.key == nil || len(message) > maxPush {
		return Sealed{}, fmt.Errorf("sealing a message: %w", errPush)
	}
	encrypt, err := seal(*p.key, random, message, p.appID)
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing a message: %w", err)
	}
	s := Sealed{Encrypt: encrypt, Timestamp: strconv.FormatInt(at.Unix(), 10), Nonce: nonce}
	s.Signature = pushSignature(p.token.Reveal(), s.Timestamp, s.Nonce, s.Encrypt)
	return s, nil
}

// Query returns the signed parameters of a request at that time, as WeChat sends them in plain mode and with echostr. Like
// Request it is WeChat's side, for the sandbox and for tests.
func (p *Push) Query(at time.Time) url.Values {
	return p.query(strconv.FormatInt(at.Unix(), 10), newNonce())
}

func (p *Push) query(timestamp, nonce string) url.Values {
	return url.Values{
		"signature": {pushSignature(p.token.Reveal(), timestamp, nonce)},
		"timestamp": {timestamp},
		"nonce":     {nonce},
	}
}

// Request returns the query and the body with which WeChat would push message, a JSON object or an <xml> element.
func (p *Push) Request(message []byte, at time.Time) (url.Values, []byte, error) {
	plain, err := messageOf(message)
	if err != nil || p.key == nil {
		return p.Query(at), message, err
	}
	sealed, err := p.Seal(message, at)
	if err != nil {
		return nil, nil, err
	}
	query := p.query(sealed.Timestamp, sealed.Nonce)
	query.Set("encrypt_type", "aes")
	query.Set("msg_signature", sealed.Signature)
	if plain.ContentType == xmlType {
		return query, sealed.XML(), nil
	}
	return query, sealed.JSON(), nil
}

// JSON returns the body of a passive reply in JSON.
func (s Sealed) JSON() []byte {
	// Strings and a number always encode, and neither base64 nor hex nor digits need escaping.
	text, _ := json.Marshal(map[string]any{
		"Encrypt": s.Encrypt, "MsgSignature": s.Signature, "TimeStamp": json.Number(s.Timestamp), "Nonce": s.Nonce,
	})
	return text
}

// XML returns the body of a passive reply in XML.
func (s Sealed) XML() []byte {
	return fmt.Appendf(nil, "<xml><Encrypt><![CDATA[%s]]></Encrypt><MsgSignature><![CDATA[%s]]></MsgSignature>"+
		"<TimeStamp>%s</TimeStamp><Nonce><![CDATA[%s]]></Nonce></xml>", s.Encrypt, s.Signature, s.Timestamp, s.Nonce)
}

// newNonce returns 10 digits that are no time before the year 2223: in a signature a nonce and a time can be exchanged.
func newNonce() string {
	var digits [10]byte
	_, _ = rand.Read(digits[:]) // never fails
	for i := range digits {
		digits[i] = '0' + digits[i]%10 // the small bias gives nothing away
	}
	digits[0] = '8' + digits[0]%2
	return string(digits[:])
}
