package wechat

import (
	"fmt"
	"log/slog"
)

// masked is what a Secret shows, whether it is empty or not.
const masked = "***"

// Secret is a password, key or app secret that prints as *** through fmt, log/slog, encoding/json and YAML. Reveal is
// the only door. Two holes cannot be closed from here. fmt calls no methods below an unexported struct field, so a struct
// that keeps a Secret privately keeps it behind a pointer (as Client does) or is never printed; and encoding/json writes
// the keys of a map as they are, so a Secret is never a key.
type Secret string

// Reveal returns the value itself, for the one line that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns ***.
func (Secret) String() string { return masked }

// GoString returns ***, for %#v.
func (Secret) GoString() string { return masked }

// Format writes *** for every verb and flag, %x and %d included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText returns ***, for XML and whatever else asks for text.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalJSON returns the string ***.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// MarshalYAML returns the string ***.
func (Secret) MarshalYAML() (any, error) { return masked, nil }

// LogValue returns ***, whatever the slog handler.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }
