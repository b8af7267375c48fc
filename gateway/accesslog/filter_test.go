package accesslog_test

import (
	"testing"
	"time"

	"wxgate/gateway/accesslog"
)

func TestAFilterNeverLeavesOutAFailure(t *testing.T) {
	t.Parallel()
	notFound, redirects := accesslog.Statuses{First: 404, Last: 404}, accesslog.Statuses{First: 300, Last: 399}
	for name, c := range map[string]struct {
		filter  accesslog.Filter
		status  int
		took    time.Duration
		refused bool
		want    bool
	}{
		"no filter":                  {accesslog.Filter{Sample: 1}, 200, 0, false, true},
		"a status":                   {accesslog.Filter{Sample: 1, Statuses: []accesslog.Statuses{notFound}}, 404, 0, false, true},
		"another status":             {accesslog.Filter{Sample: 1, Statuses: []accesslog.Statuses{notFound}}, 403, 0, false, false},
		"a class":                    {accesslog.Filter{Sample: 1, Statuses: []accesslog.Statuses{notFound, redirects}}, 307, 0, false, true},
		"a refusal of another":       {accesslog.Filter{Sample: 1, Statuses: []accesslog.Statuses{notFound}}, 401, 0, true, false},
		"a failure of another":       {accesslog.Filter{Sample: 1, Statuses: []accesslog.Statuses{notFound}}, 502, 0, true, true},
		"slow":                       {accesslog.Filter{Sample: 1, MinDuration: time.Second}, 200, time.Second, false, true},
		"fast":                       {accesslog.Filter{Sample: 1, MinDuration: time.Second}, 200, time.Second - 1, false, false},
		"fast, and a failure":        {accesslog.Filter{Sample: 1, MinDuration: time.Second}, 500, 0, false, true},
		"slow, or a status":          {accesslog.Filter{Sample: 1, MinDuration: time.Second, Statuses: []accesslog.Statuses{notFound}}, 404, 0, false, true},
		"sampled out":                {accesslog.Filter{}, 200, 0, false, false},
		"a refusal is not sampled":   {accesslog.Filter{}, 401, 0, true, true},
		"a failure is not sampled":   {accesslog.Filter{}, 503, 0, false, true},
		"404 of a service is":        {accesslog.Filter{}, 404, 0, false, false},
		"slow, and sampled out":      {accesslog.Filter{MinDuration: time.Second}, 200, time.Minute, false, false},
		"a status, and sampled out":  {accesslog.Filter{Statuses: []accesslog.Statuses{notFound}}, 404, 0, false, false},
		"a refusal that is filtered": {accesslog.Filter{MinDuration: time.Second}, 401, 0, true, false},
	} {
		if got := c.filter.Passes(c.status, c.took, c.refused); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestASampleIsAsLargeAsItShallBe(t *testing.T) {
	t.Parallel()
	filter, passed := accesslog.Filter{Sample: 0.1}, 0
	const requests = 50_000
	for range requests {
		if filter.Passes(200, time.Millisecond, false) {
			passed++
		}
	}
	if mean := requests / 10; passed < mean-340 || passed > mean+340 { // five standard deviations
		t.Errorf("%d of %d passed, want %d or so", passed, requests, mean)
	}
}

func TestStatusesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]accesslog.Statuses{"404": {First: 404, Last: 404}, "5xx": {First: 500, Last: 599}, "101": {First: 101, Last: 101}} {
		var got accesslog.Statuses
		err := got.UnmarshalText([]byte(text))
		if written, _ := got.MarshalText(); err != nil || got != want || string(written) != text {
			t.Errorf("%s: got %v, %q and %v", text, got, written, err)
		}
	}
	for _, text := range []string{"", "600", "099", "xx", "5XX", "400-499", "200 ", "2000", "-1"} {
		if err := new(accesslog.Statuses).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
