package secret

import (
	"fmt"
	"log/slog"
	"strings"
)

// masked is what a Text shows, whether it is empty or not.
const masked = "***"

// Text is a password, key or app secret that prints as *** through fmt, log/slog, encoding/json and YAML. Reveal is the
// only way to its value. Two holes cannot be closed from here. fmt calls no methods below an unexported struct field,
// so a struct that keeps a Text privately keeps it behind a pointer or is never printed; and encoding/json writes the
// keys of a map as they are, so a Text is never a key.
type Text string

// Reveal returns the value itself, for the one line that needs it.
func (t Text) Reveal() string { return string(t) }

// IsBlank reports whether there is nothing but white space, as in a variable that was left empty.
func (t Text) IsBlank() bool { return strings.TrimSpace(string(t)) == "" }

// String returns ***.
func (Text) String() string { return masked }

// Format writes *** for every verb and flag, %x, %d and %#v included.
func (Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText returns ***, for JSON, YAML, XML and whatever else asks for text.
func (Text) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue returns ***, whatever the slog handler.
func (Text) LogValue() slog.Value { return slog.StringValue(masked) }
