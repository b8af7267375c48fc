package doctor

import (
	"strings"
	"testing"
)

// wantFinding wants a text in a finding, which begins with ok if it is all right and with FAIL if not.
func wantFinding(t *testing.T, what string, got Finding, want string) {
	t.Helper()
	line := "FAIL " + got.String()
	if got.Err == nil {
		line = "ok " + got.String()
	}
	if !strings.Contains(line, want) || strings.Contains(line, "\n") {
		t.Errorf("%s: got %q, want %q in it", what, line, want)
	}
}

// TestADomainThatNoMiniProgramMayCallIsNamed with what to enter instead.
func TestADomainThatNoMiniProgramMayCallIsNamed(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"api.example.com":              "ok may be called once https://api.example.com is on the list",
		"https://api.example.com/":     "ok may be called once https://api.example.com is on the list",
		"wss://API.example.com":        "ok may be called once https://api.example.com is on the list",
		"api.example.com:8443":         "wss://api.example.com:8443 too; WeChat wants an ICP filing (备案) for it; with a port on the list, URLs without it",
		"api.example.com:443":          "FAIL with a port on the list, URLs without it fail, and without one those with :443; enter https://api.example.com,",
		"http://api.example.com":       "FAIL mini-programs call https:// and wss:// only",
		"203.0.113.7":                  "FAIL mini-programs call no IP addresses",
		"203.0.113.7:8443":             "FAIL mini-programs call no IP addresses",
		"https://[2001:db8::7]":        "FAIL mini-programs call no IP addresses",
		"localhost:8080":               "FAIL only a phone in your developer tools",
		"app.localhost":                "FAIL only a phone in your developer tools",
		"gateway":                      "FAIL only a phone in your developer tools",
		"*.example.com":                "FAIL the list of domains knows no wildcards",
		"https://API.weixin.qq.com":    "FAIL WeChat refuses its own API",
		"https://api.example.com/v1/?": "FAIL the list of domains takes no paths; enter https://api.example.com",
	} {
		wantFinding(t, given, parseDomain(given).rulesFinding(), want)
	}
}
