package gateway

import (
	"bytes"
	"fmt"

	"github.com/gofiber/fiber/v2"
)

// maxConnectionOptions is how many names Connection may list: each is compared with each field.
const maxConnectionOptions = 100

// checkFields refuses a request with two lines of a field that has one value (RFC 9110 §5.3): one service takes the first,
// another the last, and a third joins them. Host and framing are the strict reader's.
func (*Gateway) checkFields(c *fiber.Ctx) error {
	seen, options := 0, 0
	for name, value := range fieldLines(&c.Request().Header) {
		field := singleField(name)
		if seen&field != 0 {
			return fmt.Errorf("%w: %.32q stands there twice", errInvalidRequest, name)
		}
		seen |= field
		if folded(name, "connection") {
			options += 1 + bytes.Count(value, []byte{','})
		}
	}
	if options > maxConnectionOptions {
		return fmt.Errorf("%w: Connection lists %d names", errInvalidRequest, options)
	}
	return c.Next()
}

// singleField is a bit for each field that has one value and decides something: who asks, what of, and what the body is.
func singleField(name []byte) int {
	switch foldByte(name[0]) {
	case 'a':
		return bitOf(name, "authorization", 0)
	case 'c':
		return bitOf(name, "content-type", 1) | bitOf(name, "content-range", 2)
	case 'i':
		return bitOf(name, "if-range", 3) | bitOf(name, "if-modified-since", 4) | bitOf(name, "if-unmodified-since", 5)
	case 'm':
		return bitOf(name, "max-forwards", 6)
	case 'o':
		return bitOf(name, "origin", 7)
	case 'r':
		return bitOf(name, "range", 8) | bitOf(name, "referer", 9)
	}
	return 0
}

func bitOf(name []byte, lower string, bit int) int {
	if folded(name, lower) {
		return 1 << bit
	}
	return 0
}
