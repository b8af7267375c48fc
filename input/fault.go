package input

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Path    string // the key, as in targets[0].weight; what Validate of a section returns is below that section
	Message string
}

// Error is one line: path: message, or the message alone when there is no path.
func (f Fault) Error() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

// Faults are all faults of a section, or of a whole configuration: what every Validate returns.
type Faults []Fault

// Err is an error of one fault a line, nil without faults.
func (fs Faults) Err() error {
	errs := make([]error, len(fs))
	for i, f := range fs {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// Add adds a fault of the key at path.
func (fs *Faults) Add(path, format string, args ...any) {
	*fs = append(*fs, Fault{path, fmt.Sprintf(format, args...)})
}

// At are the faults of a section that is written at path: their paths begin with it.
func (fs Faults) At(path string) Faults {
	all := make(Faults, len(fs))
	for i, f := range fs {
		all[i] = Fault{strings.TrimSuffix(path+"."+f.Path, "."), f.Message}
	}
	return all
}

// OneOf wants one of the values that are allowed. Where none is, that is a fault elsewhere.
func (fs *Faults) OneOf(path, got string, allowed ...string) {
	if len(allowed) > 0 && !slices.Contains(allowed, got) {
		advice := ""
		if meant, found := Closest(got, allowed); found && strings.EqualFold(got[:1], meant[:1]) { // HS256 is not RS256 mistyped
			advice = DidYouMean(meant)
		}
		fs.Add(path, "%q is not one of %s%s", got, strings.Join(allowed, ", "), advice)
	}
}

// Between wants a value from least to most.
func Between[T cmp.Ordered](fs *Faults, path string, got, least, most T) {
	if got < least || got > most {
		fs.Add(path, "%s is not between %s and %s", Text(got), Text(least), Text(most))
	}
}

// Text is a value as a file has it: by its String, and a duration as people write it, 1m and 168h instead of 1m0s and 168h0m0s.
func Text(value any) string {
	s := fmt.Sprint(value)
	if _, ok := value.(time.Duration); !ok {
		return s
	}
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
