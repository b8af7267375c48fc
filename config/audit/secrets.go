package audit

import (
	"fmt"
	"reflect"
	"strings"

	"wxgate/config"
	"wxgate/input"
	"wxgate/secret"
)

// literalSecrets are warnings about secrets that stand in the file itself.
func literalSecrets(cfg config.Config, origin config.Origin) (ws input.Warnings) {
	eachSecret(reflect.ValueOf(cfg), "", func(path string, value secret.Text) {
		if !value.IsBlank() && (origin.Literal(path) || origin.Literal(strings.TrimSuffix(path, "[0]"))) { // a list of one may be written as a text
			ws.Warn("literal-secret", path, "is a secret in a file that is copied, shared and committed: write ${NAME} and set the variable, or ${file:/path}")
		}
	})
	return ws
}

// eachSecret calls found with every secret of a section, by its path in the file.
func eachSecret(v reflect.Value, path string, found func(path string, value secret.Text)) {
	switch {
	case v.Type() == reflect.TypeFor[secret.Text]():
		found(path, secret.Text(v.String()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
				eachSecret(v.Field(i), strings.TrimPrefix(path+"."+key, "."), found)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			eachSecret(v.Index(i), fmt.Sprintf("%s[%d]", path, i), found)
		}
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		for _, key := range v.MapKeys() {
			eachSecret(v.MapIndex(key), path+"."+key.String(), found)
		}
	}
}
