package http1

import (
	"iter"
	"strings"
)

// fields is a head of fasthttp, of a request or of an answer.
type fields interface {
	All() iter.Seq2[[]byte, []byte]
	Del(name string)
	Add(name, value string)
}

// DropFields removes the fields whose name is to be dropped, and returns how many lines they were. Fields of one name
// keep their order, which has a meaning (RFC 9110 §5.3); fasthttp's Del alone would move the last field into the gap.
func DropFields(h fields, drop func(name []byte) bool) (dropped int) {
	var gone []string
	for name := range h.All() {
		if drop(name) {
			gone = append(gone, string(name))
		}
	}
	if len(gone) == 0 {
		return 0
	}
	repeated := repeatedFields(h, drop)
	for _, name := range gone {
		h.Del(name)
	}
	for _, f := range repeated {
		h.Del(f[0])
	}
	for _, f := range repeated {
		h.Add(f[0], f[1])
	}
	return len(gone)
}

// repeatedFields are name and value of the lines that share their name with another one and stay. fasthttp keeps
// cookies apart and in order.
func repeatedFields(h fields, drop func(name []byte) bool) (lines [][2]string) {
	count := make(map[string]int)
	for name := range h.All() {
		count[string(name)]++
	}
	for name, value := range h.All() {
		cookie := strings.EqualFold(string(name), "cookie") || strings.EqualFold(string(name), "set-cookie")
		if count[string(name)] > 1 && !cookie && !drop(name) {
			lines = append(lines, [2]string{string(name), string(value)})
		}
	}
	return lines
}
