package wechat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counts gathers requests_total by errcode, and how many durations were observed.
func counts(t *testing.T, registry *prometheus.Registry) (requests map[string]float64, durations uint64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	requests = map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			durations += metric.GetHistogram().GetSampleCount()
			for _, label := range metric.GetLabel() {
				if label.GetName() == "errcode" {
					requests[label.GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
	}
	return requests, durations
}

func TestEveryOutcomeIsCountedUnderAClosedLabel(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want string
	}{
		{nil, "0"},
		{&Error{Code: ErrCodeInvalidCode}, "40029"},
		{&Error{Code: ErrCodeBusy}, "-1"},
		{&Error{Code: 123456789}, "other"},
		{fmt.Errorf("login: %w", ErrTimeout), "timeout"},
		{ErrUnreachable, "unreachable"},
		{badResponse(errors.New("x")), "bad_response"},
		{context.Canceled, "canceled"},
		{errors.New("unforeseen"), "bad_response"},
	} {
		registry := prometheus.NewRegistry()
		m, err := newMetrics(registry, "api", "https://wechat.example")
		if err != nil {
			t.Fatal(err)
		}
		m.observe("api", time.Second, row.err)
		requests, durations := counts(t, registry)
		if requests[row.want] != 1 || durations != 1 || len(requests) != len(outcomes()) {
			t.Errorf("observe(%v): got %v and %d durations, want 1 under %q and 1", row.err, requests, durations, row.want)
		}
	}
}

func TestEveryKnownCodeHasItsOwnLabel(t *testing.T) {
	t.Parallel()
	for _, code := range KnownCodes() {
		if got, want := outcome(&Error{Code: code}), strconv.Itoa(code); got != want {
			t.Errorf("label of %d: got %q, want %q", code, got, want)
		}
	}
}

func TestTwoClientsCountIntoOneRegistry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	for range 2 {
		m, err := newMetrics(registry, "api", "https://wechat.example")
		if err != nil {
			t.Fatal(err)
		}
		m.observe("api", time.Second, nil)
	}
	if requests, durations := counts(t, registry); requests["0"] != 2 || durations != 2 {
		t.Errorf("two clients: got %v requests and %d durations, want 2 and 2", requests["0"], durations)
	}
}

func TestARegistryThatRefusesIsAnError(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "wxgate_wechat_requests_total", Help: "Another."}))
	if _, err := newMetrics(registry, "api", "https://wechat.example"); err == nil {
		t.Error("newMetrics beside another metric of the same name: got no error, want one")
	}
}

func TestEveryAPILabelIsItsOwnAndAnUnknownPathIsOther(t *testing.T) {
	t.Parallel()
	paths := map[string]string{}
	for path, label := range apiLabels() {
		if other, taken := paths[label]; taken || !strings.HasSuffix(path, "/"+label) {
			t.Errorf("label %s: got %s and %q, want the end of one path", label, path, other)
		}
		paths[label] = path
	}
	for _, path := range []string{"", "/wxa/checksession/", "/WXA/checksession", "/wxa/oAlice"} {
		if got := apiLabel(path); got != labelOther {
			t.Errorf("label of %q: got %q, want %q", path, got, labelOther)
		}
	}
}
