package otlp

import (
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// variable is the one of OpenTelemetry for exporters with that ending, with its name: the one for traces, or else the one for all
// signals.
func variable(getenv func(string) string, ending string) (name, value string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + ending, "OTEL_EXPORTER_OTLP_" + ending} {
		if value := strings.TrimSpace(getenv(name)); value != "" {
			return name, value
		}
	}
	return "", ""
}

// addHeaders reads NAME=VALUE,… with percent-encoded values. They hold credentials, so that the log names only the variable.
func (c *Client) addHeaders(variable, list string) {
	if list == "" {
		return
	}
	for pair := range strings.SplitSeq(list, ",") {
		name, text, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(text)
		value = strings.TrimSpace(value)
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			c.cfg.Log.Warn("a header for the collector is left out: it is not NAME=VALUE", "variable", variable)
			continue
		}
		c.header.Set(name, value)
	}
}
