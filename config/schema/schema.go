// Package schema is the JSON Schema of gateway.yaml, by which editors complete keys and mark faults.
package schema

import _ "embed"

//go:generate go run ../../scripts/schema

//go:embed gateway.schema.json
var text []byte

// JSON is the schema, draft 7.
func JSON() []byte { return text }
