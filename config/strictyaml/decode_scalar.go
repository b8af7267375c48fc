package strictyaml

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"wxgate/input"
)

// setScalar gives into the meaning of value. A value that is not what is written came from the environment or a file
// and may be a secret: then no error shows it, nor the text of an error that a type made of it.
func setScalar(into reflect.Value, value, written string) error {
	reader, unmarshals := into.Addr().Interface().(encoding.TextUnmarshaler)
	var err error
	switch {
	case unmarshals:
		err = reader.UnmarshalText([]byte(value))
	case into.Type() == reflect.TypeFor[time.Duration]():
		err = setDuration(into, value)
	default:
		err = setKind(into, value)
	}
	if err != nil && value != written {
		return fmt.Errorf("wants %s, which what %s stands for is not", wanted(into.Type()), input.Quote(written))
	}
	return err
}

// setDuration wants a unit: in one program 30 means seconds and in the next milliseconds. Only 0 needs none.
func setDuration(into reflect.Value, value string) error {
	d, err := input.Duration(value)
	into.SetInt(int64(d))
	return err
}

func setKind(into reflect.Value, value string) error {
	var ok bool
	switch {
	case into.Kind() == reflect.String:
		into.SetString(value)
		return nil
	case into.Kind() == reflect.Bool:
		into.SetBool(value == "true")
		ok = value == "true" || value == "false"
	case into.CanInt():
		ok = setInt(into, value)
	case into.CanUint():
		ok = setUint(into, value)
	case into.CanFloat():
		ok = setFloat(into, value)
		if number, isShare := strings.CutSuffix(value, "%"); isShare {
			return fmt.Errorf("wants a number, not %s%s", input.Quote(value), input.DidYouMean(hundredth(number)))
		}
	}
	switch {
	case ok:
		return nil
	case into.Kind() == reflect.Slice:
		return fmt.Errorf("wants a list, not %s; %s", input.Quote(value), asList(value))
	case strings.HasPrefix(value, "0") && (into.CanInt() || into.CanUint()) && isNumber(value):
		return fmt.Errorf("wants %s without a 0 before it, which YAML 1.1 reads as octal, not %s", wanted(into.Type()), input.Quote(value))
	}
	return fmt.Errorf("wants %s, not %s", wanted(into.Type()), input.Quote(value))
}

// asList writes as a list what somebody wrote as one text.
func asList(value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;，；、", r) })
	for i, word := range words {
		words[i] = input.Quote(word)
	}
	if len(words) < 2 {
		return "a list of one is written [ " + input.Quote(value) + " ]"
	}
	return "a list is written [ " + strings.Join(words, ", ") + " ]"
}

func isNumber(value string) bool { return strings.Trim(value, "0123456789") == "" }

// setInt takes no number such as 010, which is 8 in YAML 1.1 and 10 in YAML 1.2.
func setInt(into reflect.Value, value string) bool {
	n, err := strconv.ParseInt(value, 10, into.Type().Bits())
	into.SetInt(n)
	return err == nil && value == strconv.FormatInt(n, 10)
}

func setUint(into reflect.Value, value string) bool {
	n, err := strconv.ParseUint(value, 10, into.Type().Bits())
	into.SetUint(n)
	return err == nil && value == strconv.FormatUint(n, 10)
}

// hundredth is a number of percent as a share of 1; empty: it is none.
func hundredth(number string) string {
	percent, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatFloat(percent/100, 'f', -1, 64)
}

func setFloat(into reflect.Value, value string) bool {
	f, err := strconv.ParseFloat(value, into.Type().Bits())
	into.SetFloat(f)
	return err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// takesText reports whether any text is a value of the type.
func takesText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return true
	case reflect.Slice:
		return readsItself(t) && takesText(t.Elem()) // one text instead of a list
	case reflect.Struct:
		return len(fieldsOf(t)) == 0
	}
	return false
}

// holdsKeys reports whether a type is one of sections alone. A text in its place may be a key with its value, run
// together, and that may be a secret.
func holdsKeys(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		return isSection(t.Elem()) || t.Kind() == reflect.Map
	}
	return isSection(t) && !readsItself(t)
}

func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Map || t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0
}

func readsItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// wanted names what a Go type takes, as in "wants a number, not …".
func wanted(t reflect.Type) string {
	says, known := reflect.Zero(reflect.PointerTo(t)).Interface().(interface{ Wanted() string })
	switch {
	case known:
		return says.Wanted()
	case readsItself(t) && isSection(t):
		return "one valid value, or keys and values below it"
	case readsItself(t):
		return "one valid value"
	case isSection(t):
		return "keys and values below it" + fewKeys(t)
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 30s, 72h or 7d"
	}
	return wantedKind(t)
}

// fewKeys are the keys of a section, as somebody who wrote one value in its place needs them: the first ones of a large one.
func fewKeys(t reflect.Type) string {
	const few, first = 8, 3
	if t.Kind() != reflect.Struct {
		return ""
	}
	names := fieldsOf(t).names()
	if len(names) > few {
		names = append(names[:first], "…")
	}
	return " (" + strings.Join(names, ", ") + ")"
}

func wantedKind(t reflect.Type) string {
	switch zero := reflect.Zero(t); {
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	case zero.CanInt():
		return "a whole number"
	case zero.CanUint():
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
	case zero.CanFloat():
		return "a number"
	}
	return "something that a file can hold"
}
