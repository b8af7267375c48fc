package strictyaml

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// LookupEnv has the shape of os.LookupEnv.
type LookupEnv func(name string) (value string, found bool)

// credentialsFolder is the variable that names a folder of secrets, one file each: LoadCredential of systemd sets it.
const credentialsFolder = "CREDENTIALS_DIRECTORY"

// WithCredentials adds the files of the folder in CREDENTIALS_DIRECTORY to an environment: a variable that is not set is what
// the file of its name holds, without one newline at the end. So the secrets of systemd, Compose and Kubernetes need not be in
// any environment.
func WithCredentials(env LookupEnv, readFile func(path string) ([]byte, error)) LookupEnv {
	return func(name string) (string, bool) {
		value, found := env(name)
		folder, _ := env(credentialsFolder)
		if found || folder == "" {
			return value, found
		}
		content, err := readFile(filepath.Join(folder, name))
		return withoutNewline(content), err == nil
	}
}

// withoutNewline drops one newline at the end: editors and echo write it, and no secret wants it.
func withoutNewline(content []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
}

// expander replaces the references of a scalar: ${VAR}, ${VAR:-default} and ${file:/path}. $$ stands for one $, and a $
// before anything else is itself, so that a regular expression or a password rarely needs care.
type expander struct {
	env      LookupEnv
	readFile func(path string) ([]byte, error)
	unset    func(path, reference string) (string, bool) // Reader.Unset; nil: no reference may lead nowhere
}

// at is the expander for the key at path, which takes a text or not.
func (e expander) at(path string, text bool) expander {
	unset := e.unset
	e.unset = nil
	if text && unset != nil {
		e.unset = func(_, reference string) (string, bool) { return unset(path, reference) }
	}
	return e
}

// nowhere is the value of a reference that leads nowhere, or else the fault that this is.
func (e expander) nowhere(reference string, fault error) (string, error) {
	if e.unset != nil {
		if value, ok := e.unset("", reference); ok {
			return value, nil
		}
	}
	return "", fault
}

// expand gives the value of a written scalar. Its errors name references, never what they stand for.
func (e expander) expand(written string) (string, error) {
	if strings.IndexByte(written, '$') < 0 {
		return written, nil
	}
	var value strings.Builder
	for {
		before, after, found := strings.Cut(written, "$")
		value.WriteString(before)
		if !found {
			return value.String(), nil
		}
		part, rest, err := e.dollar(after)
		if err != nil {
			return "", err
		}
		value.WriteString(part)
		written = rest
	}
}

// dollar gives the value of what follows a $, and the text behind it.
func (e expander) dollar(after string) (value, rest string, err error) {
	if rest, escaped := strings.CutPrefix(after, "$"); escaped {
		return "$", rest, nil
	}
	inside, reference := strings.CutPrefix(after, "{")
	if !reference {
		return "$", after, nil
	}
	inside, rest, closed := strings.Cut(inside, "}")
	if !closed {
		return "", "", errors.New("${ has no closing }; a literal $ is written $$")
	}
	value, err = e.reference(inside)
	return value, rest, err
}

func (e expander) reference(inside string) (string, error) {
	if path, ok := strings.CutPrefix(inside, "file:"); ok {
		return e.file(path)
	}
	name, otherwise, hasDefault := strings.Cut(inside, ":-")
	if strings.Contains(otherwise, "${") {
		return "", fmt.Errorf("${%s:-…}: a default cannot hold another reference", name)
	}
	if !variableName(name) {
		return "", fmt.Errorf("${%s}: %q is not the name of an environment variable", inside, name)
	}
	return e.variable(name, otherwise, hasDefault)
}

// variable follows the shell: with a default, a variable that is set but empty counts as unset.
func (e expander) variable(name, otherwise string, hasDefault bool) (string, error) {
	value, found := e.env(name)
	switch {
	case hasDefault && value == "":
		return otherwise, nil
	case !found:
		return e.nowhere(name, e.notSet(name))
	}
	return value, nil
}

// notSet says where the value of a variable would have been looked for.
func (e expander) notSet(name string) error {
	if folder, _ := e.env(credentialsFolder); folder != "" {
		return fmt.Errorf("the environment variable %s is not set, and %s has no readable file of that name; export %s=…, or write a default, ${%s:-…}", name, folder, name, name)
	}
	return fmt.Errorf("the environment variable %s is not set; export %s=…, or write a default, ${%s:-…}", name, name, name)
}

// file gives the content of a file.
func (e expander) file(path string) (string, error) {
	content, err := e.readFile(path)
	if err != nil {
		return e.nowhere("file:"+path, fmt.Errorf("${file:%s}: %w", path, err))
	}
	return withoutNewline(content), nil
}

func variableName(name string) bool {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name)
}

// isLoneVariable reports whether a text is $NAME and nothing else: what a shell would replace, and we do not.
func isLoneVariable(written string) bool {
	name, found := strings.CutPrefix(written, "$")
	return found && variableName(name)
}
