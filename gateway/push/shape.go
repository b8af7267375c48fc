package push

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The bounds of a message in XML.
const (
	maxDepth    = 8
	maxElements = 2000
)

// node is an element of XML.
type node struct {
	name     string
	text     string
	quoted   bool // the text is CDATA, so it is a string whatever it looks like
	children []*node
}

// parseXML reads the one element <xml>. There are no attributes and no namespaces (page "消息推送").
func parseXML(body []byte) (*node, error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	root := new(node)
	path := []*node{root}
	for elements := 0; ; {
		at := decoder.InputOffset()
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errNotFromWeChat
		}
		last := path[len(path)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if elements++; elements > maxElements || len(path) > maxDepth || len(t.Attr) > 0 || t.Name.Space != "" {
				return nil, errNotFromWeChat
			}
			child := &node{name: t.Name.Local}
			last.children = append(last.children, child)
			path = append(path, child)
		case xml.EndElement:
			if len(path) < 2 || last.name != t.Name.Local {
				return nil, errNotFromWeChat
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if bytes.HasPrefix(body[at:], []byte("<![CDATA[")) {
				last.text, last.quoted = last.text+string(t), true
			} else {
				last.text += strings.TrimSpace(string(t))
			}
		}
	}
	if len(path) != 1 || len(root.children) != 1 || root.children[0].name != "xml" || root.text != "" {
		return nil, errNotFromWeChat
	}
	return root.children[0], nil
}

// jsonOf is a message in XML as WeChat would have pushed it in JSON: an element with children is an object, repeated ones are an
// array, a bare integer is a number with its digits. Where the two formats of an event differ in more, it follows JSON: see
// jsonShape.
func jsonOf(body []byte) ([]byte, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, err
	}
	shape := shapeOf(root)
	var text bytes.Buffer
	err = shape.writeObject(&text, root)
	return text.Bytes(), err
}

// jsonShape is how the JSON of an event differs from its XML (page "消息推送", and captures of both).
type jsonShape struct {
	lifted  string   // an element whose children are the message's own in JSON
	strings bool     // numbers are strings
	arrays  []string // arrays also of one element
}

func shapeOf(root *node) jsonShape {
	switch event := root.child("Event"); event {
	case "subscribe_msg_popup_event":
		return jsonShape{lifted: "SubscribeMsgPopupEvent", strings: true}
	case "subscribe_msg_change_event":
		return jsonShape{lifted: "SubscribeMsgChangeEvent", strings: true}
	case "subscribe_msg_sent_event":
		return jsonShape{lifted: "SubscribeMsgSentEvent", strings: true}
	case iosRefundQuery:
		return jsonShape{strings: true}
	case "wxa_media_check":
		return jsonShape{arrays: []string{"detail"}}
	}
	return jsonShape{}
}

// child is the text of a child, or nothing.
func (n *node) child(name string) string {
	for _, c := range n.children {
		if c.name == name {
			return c.text
		}
	}
	return ""
}

func (s jsonShape) writeObject(to *bytes.Buffer, n *node) error {
	if n.text != "" {
		return errNotFromWeChat // text between elements
	}
	to.WriteByte('{')
	var written []string
	children := s.lift(n.children)
	for _, c := range children {
		if slices.Contains(written, c.name) {
			continue
		}
		if len(written) > 0 {
			to.WriteByte(',')
		}
		written = append(written, c.name)
		s.writeText(to, c.name)
		to.WriteByte(':')
		if err := s.writeMember(to, c.name, children); err != nil {
			return err
		}
	}
	to.WriteByte('}')
	return nil
}

// lift replaces the wrapper by what is in it.
func (s jsonShape) lift(children []*node) []*node {
	i := slices.IndexFunc(children, func(c *node) bool { return s.lifted != "" && c.name == s.lifted })
	if i < 0 {
		return children
	}
	return slices.Concat(children[:i], children[i].children, children[i+1:])
}

// writeMember writes all the elements of one name.
func (s jsonShape) writeMember(to *bytes.Buffer, name string, among []*node) error {
	same := slices.DeleteFunc(slices.Clone(among), func(c *node) bool { return c.name != name })
	if len(same) == 1 && !slices.Contains(s.arrays, name) {
		return s.writeValue(to, same[0])
	}
	to.WriteByte('[')
	for i, c := range same {
		if i > 0 {
			to.WriteByte(',')
		}
		if err := s.writeValue(to, c); err != nil {
			return err
		}
	}
	to.WriteByte(']')
	return nil
}

func (s jsonShape) writeValue(to *bytes.Buffer, n *node) error {
	switch {
	case len(n.children) > 0:
		return s.writeObject(to, n)
	case !n.quoted && !s.strings && isInteger(n.text):
		to.WriteString(n.text)
	default:
		s.writeText(to, n.text)
	}
	return nil
}

func (jsonShape) writeText(to *bytes.Buffer, text string) {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)  // a string always encodes
	to.Truncate(to.Len() - 1) // its line break
}

// isInteger reports whether text is an integer as JSON writes them.
func isInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	return digits != "" && len(digits) <= 20 && strings.Trim(digits, "0123456789") == "" && (digits == "0" || digits[0] != '0')
}

// errShape is an answer of a service that XML cannot say.
var errShape = errors.New("the answer has members that XML cannot name, characters that it does not have, or is too deep")

// xmlOf is a JSON object as the element <xml>: strings are CDATA, an array is repeated elements.
func xmlOf(object []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var text bytes.Buffer
	err := writeElement(&text, decoder, "xml", 0)
	return text.Bytes(), err
}

// writeElement writes the next value of the decoder as an element.
func writeElement(to *bytes.Buffer, from *json.Decoder, name string, depth int) error {
	if depth > maxDepth || !isName(name) {
		return errShape
	}
	token, err := from.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", errShape, err)
	}
	if token == json.Delim('[') {
		for from.More() {
			if err := writeElement(to, from, name, depth+1); err != nil {
				return err
			}
		}
		_, err := from.Token()
		return err
	}
	fmt.Fprintf(to, "<%s>", name)
	switch value := token.(type) {
	case json.Delim:
		err = writeMembers(to, from, depth+1)
	case string:
		if strings.ContainsFunc(value, notXML) {
			return errShape
		}
		fmt.Fprintf(to, "<![CDATA[%s]]>", strings.ReplaceAll(value, "]]>", "]]]]><![CDATA[>"))
	case nil:
	default:
		fmt.Fprint(to, value)
	}
	fmt.Fprintf(to, "</%s>", name)
	return err
}

// writeMembers writes an object whose brace was read.
func writeMembers(to *bytes.Buffer, from *json.Decoder, depth int) error {
	for from.More() {
		name, err := from.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", errShape, err)
		}
		text, _ := name.(string) // of an object it always is
		if err := writeElement(to, from, text, depth); err != nil {
			return err
		}
	}
	_, err := from.Token()
	return err
}

// notXML reports whether a character is none of XML 1.0, section 2.2, not even in CDATA.
func notXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// isName reports whether a member can be an element.
func isName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return name != "" && strings.Contains(letters, name[:1]) && strings.Trim(name, letters+"0123456789-.") == ""
}
