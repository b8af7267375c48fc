package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// argued are the cases that docs/tls.md says why they fail.
func argued() []string {
	return []string{
		"1: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE",
		"1: Sends a HEADERS frame that contains the connection-specific header field",
		`2: Sends a HEADERS frame that contains the TE header field with any value other than "trailers"`,
	}
}

// TestHTTP2ConformsToItsSpecification runs h2spec, which bin/h2spec is, against the gateway.
func TestHTTP2ConformsToItsSpecification(t *testing.T) {
	t.Parallel()
	spec := os.Getenv("WXGATE_H2SPEC")
	if spec == "" {
		t.Skip("make long WHAT=streams sets WXGATE_H2SPEC")
	}
	w := newSecureWorld(t)
	w.serveSecurely()
	host, port, _ := strings.Cut(w.address(), ":")
	out, err := exec.Command(spec, "--tls", "--insecure", "--host", host, "--port", port, "--path", "/healthz", "--timeout", "10").CombinedOutput()
	t.Logf("%s", out)
	_, report, _ := strings.Cut(string(out), "Failures:")
	for line := range strings.SplitSeq(report, "\n") {
		if _, failed, ok := strings.Cut(line, "× "); ok && !slices.Contains(argued(), failed) {
			t.Errorf("fails: %s", failed)
		}
	}
	if !strings.Contains(string(out), "145 tests, ") {
		t.Errorf("h2spec did not run: %v", err)
	}
}
