// Package strictyaml reads a YAML configuration file into a struct: unknown keys, wrong types and everything else that
// is wrong with the file come back together, each with its line and column. It expands ${VAR}, ${VAR:-default} and
// ${file:/path} in any scalar, and never quotes what they stand for.
package strictyaml

import (
	"fmt"
	"strings"

	"wxgate/input"
)

// Reader reads configuration files.
type Reader struct {
	Env LookupEnv
	// Unset, if it is not nil, says what a reference that leads nowhere stands for in the text of the key at path: VAR of
	// ${VAR} when that variable is not set, or file:/path of ${file:/path} when that file cannot be read. Where it returns
	// false, and for keys that are no texts, such a reference is a fault.
	Unset func(path, reference string) (value string, ok bool)
}

// Read fills into, a pointer to a struct that holds the defaults, from a YAML file. complete then looks at the result:
// it fills what the file left out and returns what is wrong. The error is a Faults with all of both, unless the file
// could not be read at all. Places find what is noticed later, whatever the error.
func (r Reader) Read(file string, into any, complete func() input.Faults) (Places, error) {
	data, err := input.File(file)
	if err != nil {
		return Places{newPositions(file, 0)}, fmt.Errorf("reading the configuration: %w", err)
	}
	return parseFile(file, data, expander{env: r.Env, readFile: input.File, unset: r.Unset}, into, complete)
}

// Places knows where each key of a file is written.
type Places struct{ written positions }

// Faults turns what was found after reading into faults with their places, as Read does with what complete returns.
func (p Places) Faults(found input.Faults) Faults { return p.written.place(found).sorted() }

// Literal reports whether the file holds the value of the key at path itself, and not a reference to where the value is.
// The default of a reference is in the file: ${NAME:-value}.
func (p Places) Literal(path string) bool {
	_, written := p.written.at[path]
	reference, referred := p.written.references[path]
	_, otherwise, _ := strings.Cut(reference, ":-")
	return written && (!referred || !strings.HasPrefix(otherwise, "}") && otherwise != "")
}

func parseFile(file string, data []byte, expand expander, into any, complete func() input.Faults) (Places, error) {
	written, faults := decode(file, data, expand, into)
	misread := faults
	for _, fault := range written.place(complete()) {
		if !misread.explain(fault.Path, written) {
			faults = append(faults, fault)
		}
	}
	return Places{written}, faults.asError()
}
