package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// object holds the members of one JSON object by their exact names.
type object map[string]json.RawMessage

// parseObject reads exactly one JSON object. encoding/json alone is too kind for an identity: it takes OPENID for openid,
// keeps the last of two openids and repairs broken UTF-8. Here all of these are errors. Error texts quote nothing.
func parseObject(text []byte) (object, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := object{}
	for decoder.More() {
		if err := members.read(decoder); err != nil {
			return nil, err
		}
	}
	return members, end(decoder)
}

// read adds the next member.
func (o object) read(decoder *json.Decoder) error {
	name, err := decoder.Token()
	key, isString := name.(string)
	if err != nil || !isString {
		return errors.New("broken JSON")
	}
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return errors.New("broken JSON")
	}
	if _, twice := o[key]; twice {
		return errors.New("a member appears twice")
	}
	o[key] = value
	return nil
}

// end wants the closing brace and then nothing.
func end(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errors.New("broken JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// text returns a string member, or "" when it is absent or null.
func (o object) text(name string) (string, error) {
	var value string
	if raw, ok := o[name]; ok && json.Unmarshal(raw, &value) != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return value, nil
}
