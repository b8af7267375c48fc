package doctor

import (
	"testing"

	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

// TestWhatTargetsDoWithContentIsNamed of those that take it for a request, and of those that are not there.
func TestWhatTargetsDoWithContentIsNamed(t *testing.T) {
	t.Parallel()
	away := upstreamtest.Refused(t)
	undraining := upstreamtest.NewUndraining(t)
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: away}}
	wantFinding(t, "nobody", contentFinding(t.Context(), "recipes", cfg), "ok not known of "+away+", which did not answer a POST within 3 s")
	cfg.Targets = append(cfg.Targets, upstream.Target{URL: undraining.URL})
	wantFinding(t, "two targets", contentFinding(t.Context(), "recipes", cfg),
		"FAIL "+undraining.URL+": the content of a request is taken for the next request; set upstreams.recipes.keepalive.reuse_after_body: false")
	cfg.Keepalive.ReuseAfterBody = false
	wantFinding(t, "with Connection: close", contentFinding(t.Context(), "recipes", cfg), "ok not known of "+away)
	cfg.Targets = nil
	for range 9 {
		cfg.Targets = append(cfg.Targets, upstream.Target{URL: away})
	}
	wantFinding(t, "many that are not there", contentFinding(t.Context(), "recipes", cfg), away+", and 4 more, which")
}
