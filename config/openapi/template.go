package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"wxgate/gateway/route"
	"wxgate/input"
)

var errNotLiteral = errors.New("wants a path without :name and **")

// template is the path of an operation as the pattern of a route.
type template struct {
	written string
	pattern route.Pattern // without a last slash
	exact   bool          // the pattern matches the paths of the operation and no others
	hidden  bool          // a :name of the pattern stands for a segment that no pattern can spell
}

// templatePattern is the pattern for a path such as /a/{id}. A segment that no pattern can express, such as
// {name}.json, becomes a :name, and what may take several segments a ** at the end: more is matched then than is meant.
func templatePattern(path string) (template, error) {
	t := template{exact: true}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		part, exact, err := templateSegment(segment)
		if err != nil {
			return t, fmt.Errorf("%s: %w", input.Quote(path), err)
		}
		if segment == "" && i < len(segments)-1 {
			return t, fmt.Errorf("%s has an empty segment", input.Quote(path))
		}
		t.exact = t.exact && exact
		t.hidden = t.hidden || !exact && part != "**"
		t.written += "/" + part
		if part == "**" {
			break
		}
	}
	p, err := route.ParsePattern(t.written)
	t.pattern = p.WithoutLastSlash()
	return t, err
}

// templateSegment is one segment of a pattern, and whether it matches no more than is meant.
func templateSegment(segment string) (part string, exact bool, err error) {
	name, isParameter := parameter(segment)
	switch {
	case strings.ContainsFunc(segment, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", false, errors.New("has a character that cannot be seen")
	case segment == "**", isParameter && strings.Trim(name, "*+") != name: // Spring's {*path}, AWS's {proxy+}
		return "**", false, nil
	case isParameter && strings.ContainsAny(name, "?#;&|"): // RFC 6570 and optional ones: more than one segment, or none
		return "", false, fmt.Errorf("%s is no parameter of OpenAPI", input.Quote(segment))
	case isParameter:
		return ":" + identifier(name), !strings.Contains(name, ":"), nil // {id:[0-9]+} takes numbers alone
	case strings.ContainsAny(segment, "{}"):
		return ":" + identifier(segment), false, nil
	case strings.ContainsAny(segment, "?#"):
		return "", false, errors.New("a path has no query and no fragment")
	}
	literal, err := url.PathUnescape(segment)
	if err != nil || strings.ContainsAny(literal, `/*:;%?#\ `) || strings.ContainsFunc(literal, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ":" + identifier(segment), false, nil // no route can spell it
	}
	return literal, true, nil
}

// parameter is the name of a segment that is one {name}.
func parameter(segment string) (string, bool) {
	name, opened := strings.CutPrefix(segment, "{")
	name, closed := strings.CutSuffix(name, "}")
	return name, opened && closed && name != "" && !strings.ContainsAny(name, "{}")
}

// identifier is a text with everything but letters, digits, - and _ replaced.
func identifier(text string) string {
	text = strings.Trim(text, "{}")
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, text)
}
