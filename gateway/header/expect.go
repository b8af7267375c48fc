package header

import (
	"bytes"

	"wxgate/message"
)

// ExpectsOther reports whether something else than 100-continue is expected of us, which is the one expectation that
// there is (RFC 9110 §10.1.1).
func ExpectsOther(h *message.Fields) bool {
	for value := range h.Values("Expect") {
		if len(value) > 0 && !bytes.EqualFold(value, []byte("100-continue")) {
			return true
		}
	}
	return false
}
