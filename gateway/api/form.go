package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"wxgate/gateway/answer"
)

// formJSON is a form as a JSON object of texts. userInfo.nickName and userInfo[nickName] are fields of an object, as
// libraries write nested ones. A field that is there twice could be read in two ways, and is refused.
func formJSON(body []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the body is no form: %w", answer.ErrInvalidRequest, err)
	}
	object := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) != 1 {
			return nil, fmt.Errorf("%w: the form has a field twice", answer.ErrInvalidRequest)
		}
		outer, inner, nested := splitName(name)
		if !nested {
			object[name] = values[name][0]
			continue
		}
		within, _ := object[outer].(map[string]any)
		if within == nil {
			within = map[string]any{}
		}
		within[inner], object[outer] = values[name][0], within
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("reading a form: %w", err)
	}
	return text, nil
}

// splitName splits the name of a nested field: a.b or a[b].
func splitName(name string) (outer, inner string, nested bool) {
	if outer, inner, nested = strings.Cut(name, "."); nested {
		return outer, inner, true
	}
	outer, inner, nested = strings.Cut(name, "[")
	return outer, strings.TrimSuffix(inner, "]"), nested && strings.HasSuffix(inner, "]")
}
