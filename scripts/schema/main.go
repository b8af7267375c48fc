// Command schema writes the JSON Schema of gateway.yaml: keys, types and defaults from the structs of the configuration,
// descriptions from their comments, and the values to choose from by asking the checker about one that is wrong.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

const file = "config/schema/gateway.schema.json"

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func write() error {
	text, err := render(".")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("writing the schema: %w", err)
	}
	return nil
}

// render is the schema as it is written into a file. root is the folder of the repository.
func render(root string) ([]byte, error) {
	schema, err := generate(root)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(schema); err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return text.Bytes(), nil
}
