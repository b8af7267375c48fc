package main

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"wxgate/bench/load"
	"wxgate/bench/tokens"
)

func TestAPlanIsReadInItsOrder(t *testing.T) {
	t.Parallel()
	got, err := parsePlan("sat:5x1.5s,rate@2000:3x2s,start:4")
	want := []step{{"sat", 5, 1500 * time.Millisecond}, {"rate@2000", 3, 2 * time.Second}, {"start", 4, 0}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := parsePlan(defaultPlan); err != nil {
		t.Error(err)
	}
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{"", "sat", "sat:0x1s", "sat:3x1", "saturated:3x1s", "rate:3x1s", "rate@fast:3x1s"} {
		if got, err := parsePlan(plan); err == nil {
			t.Errorf("got %v for %q", got, plan)
		}
	}
}

func TestAScenarioAsksForWhatItsNameSays(t *testing.T) {
	t.Parallel()
	bad, _ := scenarioOf("bad")
	if bad.tokens != tokens.BadSignature || bad.load.Want != http.StatusUnauthorized {
		t.Errorf("got %+v", bad)
	}
	rate, _ := scenarioOf("rate@20000")
	if rate.load.Pace != load.Open || rate.load.Rate != 20_000 {
		t.Errorf("got %+v", rate)
	}
	upload, _ := scenarioOf("upload")
	if upload.load.Content != 1<<20 || upload.load.Method != http.MethodPost || !upload.heavy {
		t.Errorf("got %+v", upload)
	}
}
