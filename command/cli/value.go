package cli

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"wxgate/input"
)

// IsBool reports whether the flag has no value behind it.
func (v *Value) IsBool() bool { return v.target.Kind() == reflect.Bool }

// isList reports whether each time that the flag is there adds to it.
func (v *Value) isList() bool { return v.separator() != "" && v.target.Kind() == reflect.Slice }

// separator is what stands between the values of a list or a map, "" if nothing does.
func (v *Value) separator() string {
	switch separator := v.Tag.Get("sep"); separator {
	case "none":
		return ""
	case "":
		return ","
	default:
		return separator
	}
}

// set reads a text into the field. Lists and maps grow.
func (v *Value) set(text string) error {
	if err := v.add(text); err != nil {
		return fmt.Errorf("%s: %w", v.short(), err)
	}
	return nil
}

func (v *Value) add(text string) error {
	switch v.target.Kind() {
	case reflect.Slice:
		for _, part := range split(text, v.separator()) {
			item := reflect.New(v.target.Type().Elem()).Elem()
			if err := decode(item, part); err != nil {
				return err
			}
			v.target.Set(reflect.Append(v.target, item))
		}
		return nil
	case reflect.Map:
		return v.addPairs(text)
	}
	return decode(v.target, text)
}

// addPairs reads KEY=VALUE,… into a map of strings.
func (v *Value) addPairs(text string) error {
	if v.target.IsNil() {
		v.target.Set(reflect.MakeMap(v.target.Type()))
	}
	for _, pair := range split(text, v.separator()) {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return fmt.Errorf("expected \"<key>=<value>\" but got %q", pair)
		}
		v.target.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(value))
	}
	return nil
}

// split splits a text at a separator that has no backslash before it.
func split(text, separator string) (parts []string) {
	if separator == "" {
		return []string{text}
	}
	part := ""
	for text != "" {
		escaped, isEscaped := strings.CutPrefix(text, `\`+separator)
		rest, ends := strings.CutPrefix(text, separator)
		switch {
		case isEscaped:
			part, text = part+separator, escaped
		case ends:
			parts, part, text = append(parts, part), "", rest
		default:
			part, text = part+text[:1], text[1:]
		}
	}
	if part != "" {
		parts = append(parts, part)
	}
	return parts
}

// readable reports whether decode or add can read a type.
func readable(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int64, reflect.Uint64:
		return true
	case reflect.Pointer, reflect.Slice:
		return readable(t.Elem())
	case reflect.Map:
		return t == reflect.TypeFor[map[string]string]()
	}
	return false
}

// decode reads a single value. Durations and numbers are those of the admin API and gateway.yaml.
func decode(target reflect.Value, text string) error {
	if target.Kind() == reflect.Pointer {
		item := reflect.New(target.Type().Elem())
		target.Set(item)
		return decode(item.Elem(), text)
	}
	if target.Type() == reflect.TypeFor[time.Duration]() {
		d, err := input.Duration(text)
		target.SetInt(int64(d))
		return err
	}
	if reader, is := target.Addr().Interface().(encoding.TextUnmarshaler); is {
		return reader.UnmarshalText([]byte(text))
	}
	switch target.Kind() {
	case reflect.Bool:
		return decodeBool(target, text)
	case reflect.Int, reflect.Int64:
		n, err := input.Count(text)
		target.SetInt(n)
		return err
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			return fmt.Errorf("expected a valid 64 bit uint but got %q", text)
		}
		target.SetUint(n)
	default:
		target.SetString(text)
	}
	return nil
}

func decodeBool(target reflect.Value, text string) error {
	switch strings.ToLower(text) {
	case "true", "1", "yes":
		target.SetBool(true)
	case "false", "0", "no":
		target.SetBool(false)
	default:
		return fmt.Errorf("bool value must be true, 1, yes, false, 0 or no but got %q", text)
	}
	return nil
}

// checkEnum returns an error if the field has none of the values that it may have.
func (v *Value) checkEnum() error {
	if v.Enum == nil || v.Required && !v.isSet {
		return nil
	}
	got := fmt.Sprint(v.target.Interface())
	var quoted []string
	for _, one := range v.Enum {
		if one == got {
			return nil
		}
		quoted = append(quoted, strconv.Quote(one))
	}
	return errors.New(v.short() + " must be one of " + strings.Join(quoted, ",") + " but got " + strconv.Quote(got))
}
