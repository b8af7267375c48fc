package strictyaml

import (
	"fmt"
	"strings"

	"wxgate/input"
)

const knownKeysListed = 32 // more than that is a page, not a hint

// unknownKey says that name is not among the known keys, and which one was probably meant.
func unknownKey(name string, known []string) string {
	if advice, _ := strange(name); advice != "" {
		return "unknown key; " + advice
	}
	if meant, ok := input.Closest(name, known); ok {
		return fmt.Sprintf("unknown key; did you mean %q?", meant)
	}
	if len(known) <= knownKeysListed {
		return "unknown key; the keys here are " + strings.Join(known, ", ")
	}
	return "unknown key"
}
