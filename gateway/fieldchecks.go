package gateway

import (
	"bytes"
	"fmt"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
)

// maxConnectionOptions is how many names Connection may list: each is compared with each field.
const maxConnectionOptions = 100

// checkFields refuses a request with two lines of a field that has one value (RFC 9110 §5.3): one service takes the first,
// another the last, and a third joins them. Host and framing are the strict reader's.
func checkFields(ex *Exchange) error {
	seen, options := 0, 0
	for name, value := range header.Lines(&ex.request.Header) {
		field := header.SingleBit(name)
		if seen&field != 0 {
			return fmt.Errorf("%w: %.32q stands there twice", answer.ErrInvalidRequest, name)
		}
		seen |= field
		if header.Folded(name, "connection") {
			options += 1 + bytes.Count(value, []byte{','})
		}
	}
	if options > maxConnectionOptions {
		return fmt.Errorf("%w: Connection lists %d names", answer.ErrInvalidRequest, options)
	}
	return ex.next()
}
