package answer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"wxgate/input"
)

// Config is how answers of the gateway look: the section answers, or routes[].answers for the refusals of one route. Each
// template is a whole answer.
type Config struct {
	Preset        string            `yaml:"preset"`         // what holds where nothing is said below
	Success       string            `yaml:"success"`        // template of a successful answer
	Refusal       string            `yaml:"refusal"`        // template of a refusal
	Login         string            `yaml:"login"`          // template of the answer to a login; empty: success with a standard one as data
	Refresh       string            `yaml:"refresh"`        // template of the answer to a refresh; empty: in the same way
	Profile       string            `yaml:"profile"`        // template of the user's profile; empty: success with all of it as data
	Codes         map[string]string `yaml:"codes"`          // {code} of a success, a reason, a status, or by default
	RefusalStatus string            `yaml:"refusal_status"` // own, or 200 for every refusal; empty: as the preset has it
}

// UnmarshalText reads the short form: the name of a preset. Validate judges it.
func (c *Config) UnmarshalText(text []byte) error {
	*c = Config{Preset: string(text)}
	return nil
}

// The names of the presets.
const (
	PresetEnvelope = "envelope"
	presetStatus   = "status_code"
	presetErrno    = "errno"
	presetCodeMsg  = "code_msg"
	presetCodeText = "code_text"
)

// The values of answers.refusal_status.
const (
	statusOwn = "own"
	status200 = "200"
)

// DefaultConfig is the envelope.
func DefaultConfig() Config { return Config{Preset: PresetEnvelope, Codes: map[string]string{}} }

const (
	standardRefresh = `{"access_token":{access_token},"token_type":"Bearer","expires_in":{expires_in}}`
	standardLogin   = `{"access_token":{access_token},"token_type":"Bearer","expires_in":{expires_in},` +
		`"user":{"id":{user_id},"openid":{openid},"nickname":{nickname},"avatar":{avatar},"created_at":{created_at}}}`

	codeMsgSuccess = `{"code":{code},"msg":{message},"data":{data}}`
	codeMsgRefusal = `{"code":{code},"msg":{message},"data":null}`
)

// The keys of answers.codes that are neither a reason nor a status.
const (
	codeOfSuccess = "success"
	codeOfOthers  = "default"
)

// preset is the configuration that a name stands for, without a login and a refresh of its own. ok reports whether there
// is one.
func preset(name string) (c Config, ok bool) {
	c = Config{Preset: name, RefusalStatus: statusOwn}
	switch name {
	case PresetEnvelope:
		c.Success = `{"code":{code},"message":{message},"data":{data},"timestamp":{timestamp}}`
		c.Refusal = `{"code":{code},"message":{message},"error":{error},"reason":{reason},"request_id":{request_id},"timestamp":{timestamp}}`
	case presetStatus:
		c.Success = `{"statusCode":{code},"data":{data},"message":{message}}`
		c.Refusal = `{"statusCode":{code},"data":null,"message":{message}}`
	case presetErrno: // 501 is what shops of this dialect take for "log in again"; they look at the body of a 200 alone
		c.Success = `{"errno":{code},"errmsg":{message},"data":{data}}`
		c.Refusal = `{"errno":{code},"errmsg":{message},"data":null}`
		c.Codes = map[string]string{codeOfSuccess: "0", "400": "402", "401": "501", "403": "506", codeOfOthers: "502"}
		c.RefusalStatus = status200
	case presetCodeMsg:
		c.Success, c.Refusal = codeMsgSuccess, codeMsgRefusal
		c.RefusalStatus = status200
	case presetCodeText: // the codes are those of Alibaba's Java guide, which its users share
		c.Success, c.Refusal = codeMsgSuccess, codeMsgRefusal
		c.Codes = map[string]string{
			codeOfSuccess: "00000", "400": "A0400", "401": "A0230", "403": "A0301", "404": "A0400", "429": "A0501", "503": "B0200",
			"502": "C0001", "504": "C0200", "500": "B0001", codeOfOthers: "A0001",
		}
	default:
		return c, false
	}
	return c, true
}

// IsZero reports whether nothing is configured.
func (c Config) IsZero() bool { return c.key() == Config{}.key() }

// key is a text that is the same for the same configuration.
func (c Config) key() string {
	codes := make([]string, 0, len(c.Codes))
	for _, name := range slices.Sorted(maps.Keys(c.Codes)) {
		codes = append(codes, name, c.Codes[name])
	}
	return fmt.Sprintf("%q %q", []string{c.Preset, c.Success, c.Refusal, c.Login, c.Refresh, c.Profile, c.RefusalStatus}, codes)
}

// Over is c with what base says where c says nothing. A preset of its own takes the place of base.
func (c Config) Over(base Config) Config {
	if c.Preset == "" {
		return c.overlay(base.complete())
	}
	return c.complete()
}

// complete is c with what its preset says of the rest.
func (c Config) complete() Config {
	all, _ := preset(cmp.Or(c.Preset, PresetEnvelope))
	return c.overlay(all)
}

// overlay is c with what base says where c says nothing.
func (c Config) overlay(base Config) Config {
	return Config{
		Preset: cmp.Or(c.Preset, base.Preset), Success: cmp.Or(c.Success, base.Success), Refusal: cmp.Or(c.Refusal, base.Refusal),
		Login: cmp.Or(c.Login, base.Login), Refresh: cmp.Or(c.Refresh, base.Refresh), Profile: cmp.Or(c.Profile, base.Profile), Codes: c.codesOver(base.Codes),
		RefusalStatus: cmp.Or(c.RefusalStatus, base.RefusalStatus),
	}
}

// codesOver is c.Codes with what base says of the rest. A default of its own is the code of every other failure, also of
// those for which base has one.
func (c Config) codesOver(base map[string]string) map[string]string {
	if len(c.Codes) == 0 {
		return base
	}
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	if _, own := c.Codes[codeOfOthers]; own {
		maps.DeleteFunc(all, func(name, _ string) bool { return name != codeOfSuccess })
	}
	maps.Copy(all, c.Codes)
	return all
}

// loginTemplate is the template of the whole answer to a login.
func (c Config) loginTemplate() string { return cmp.Or(c.Login, withData(c.Success, standardLogin)) }

// refreshTemplate is the template of the whole answer to a refresh.
func (c Config) refreshTemplate() string {
	return cmp.Or(c.Refresh, withData(c.Success, standardRefresh))
}

// withData is the template of a successful answer with certain data.
func withData(success, data string) string { return strings.ReplaceAll(success, "{data}", data) }

// String is how the shape is shown to an operator: the preset, and what differs from it.
func (c Config) String() string {
	c = c.complete()
	of, _ := preset(c.Preset)
	name := c.Preset
	if c.Success != of.Success || c.Refusal != of.Refusal || c.Login+c.Refresh+c.Profile != "" {
		name += " with templates"
	}
	if !maps.Equal(c.Codes, of.Codes) {
		name += ", own codes"
	}
	if c.RefusalStatus == status200 {
		name += ", refusals as 200"
	}
	return name
}

// The bounds of answers.codes.
const (
	maxCodes     = 200
	maxCodeBytes = 32
)

// Validate reports presets, placeholders, codes and statuses that there are not, and templates that are not JSON or lose
// what they are for.
func (c Config) Validate() (f input.Faults) {
	if _, known := preset(cmp.Or(c.Preset, PresetEnvelope)); !known {
		f.OneOf("preset", c.Preset, PresetEnvelope, presetStatus, presetErrno, presetCodeMsg, presetCodeText)
	}
	for _, t := range []struct {
		key, text, needs string
		known            map[string]placeholder
	}{
		{"success", c.Success, "data", successPlaceholders()},
		{"refusal", c.Refusal, "", refusalPlaceholders()},
		{"login", c.Login, "access_token", loginPlaceholders()},
		{"refresh", c.Refresh, "access_token", refreshPlaceholders()},
		{"profile", c.Profile, "", profilePlaceholders()},
	} {
		if t.text == "" {
			continue
		}
		if len(t.text) > maxTemplateBytes {
			f.Add(t.key, "has %d bytes; %d are the most", len(t.text), maxTemplateBytes)
		} else if made, err := parseTemplate(t.text, t.known); err != nil {
			f.Add(t.key, "%v", err)
		} else if t.needs != "" && !made.has(t.known[t.needs]) {
			f.Add(t.key, "has no {%s}, without which a client cannot use the answer", t.needs)
		}
	}
	if c.RefusalStatus != "" && c.RefusalStatus != statusOwn && c.RefusalStatus != status200 {
		f.Add("refusal_status", "%q is neither 200, for every refusal, nor own, with which each keeps its status", c.RefusalStatus)
	}
	c.validateCodes(&f)
	return f
}

// ValidateRoute is Validate for routes[].answers. A route answers nothing itself but refusals.
func (c Config) ValidateRoute() input.Faults {
	f := c.Validate()
	for _, t := range []struct{ key, text string }{{"success", c.Success}, {"login", c.Login}, {"refresh", c.Refresh}, {"profile", c.Profile}} {
		if t.text != "" {
			f.Add(t.key, "belongs to the section answers; a route refuses, and its service answers the rest")
		}
	}
	return f
}

func (c Config) validateCodes(f *input.Faults) {
	if len(c.Codes) > maxCodes {
		f.Add("codes", "has %d entries; %d are the most", len(c.Codes), maxCodes)
	}
	table := NewTable()
	for _, name := range slices.Sorted(maps.Keys(c.Codes)) {
		code := c.Codes[name]
		status, err := strconv.Atoi(name)
		isStatus := err == nil && status >= 400 && status <= 599
		hasReason := func(row Failure) bool { return row.Reason == name }
		if name != codeOfSuccess && name != codeOfOthers && !isStatus && !slices.ContainsFunc(table, hasReason) {
			f.Add("codes."+name, "is neither a reason of docs/api.md, nor a status from 400 to 599, nor success or default")
		}
		if code == "" || len(code) > maxCodeBytes || strings.ContainsFunc(code, func(r rune) bool { return !unicode.IsPrint(r) }) {
			f.Add("codes."+name, "is not a text of 1 to %d visible characters", maxCodeBytes)
		}
	}
}
