package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"wxgate/histogram"
	"wxgate/tracing/span"
)

// The outcomes that are no errcode, as labels.
const (
	outcomeOther       = "other"        // an errcode without a name in errcodes.go
	outcomeTimeout     = "timeout"      // ErrTimeout
	outcomeUnreachable = "unreachable"  // ErrUnreachable
	outcomeBadResponse = "bad_response" // ErrBadResponse
	outcomeCanceled    = "canceled"     // the caller gave up first
)

// metrics counts the calls by API. Its labels come from apiLabels and outcomes, which are closed sets.
type metrics struct {
	host     string // of WeChat, for spans
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newMetrics registers with reg, and starts every series of api at 0; those of the other APIs begin with their first
// call. A second Client on the same registry, for another appid or after a reload, counts into the same series.
func newMetrics(reg prometheus.Registerer, api, baseURL string) (*metrics, error) {
	host := ""
	if u, err := url.Parse(baseURL); err == nil {
		host = u.Hostname()
	}
	requests, err := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_wechat_requests_total",
		Help: "Calls to api.weixin.qq.com by errcode; 0 is success, words are failures without an errcode.",
	}, []string{"api", "errcode"}))
	if err != nil {
		return nil, err
	}
	duration, err := register(reg, prometheus.NewHistogramVec(histogram.Options(reg, prometheus.HistogramOpts{
		Name:    "wxgate_wechat_request_duration_seconds",
		Help:    "How long calls to api.weixin.qq.com took, failed ones included.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2, 3, 5, 10},
	}), []string{"api"}))
	if err != nil {
		return nil, err
	}
	duration.WithLabelValues(api)
	for _, label := range outcomes() {
		requests.WithLabelValues(api, label)
	}
	return &metrics{host, requests, duration}, nil
}

// register returns the collector already there when an equal one is.
func register[C prometheus.Collector](reg prometheus.Registerer, collector C) (C, error) {
	err := reg.Register(collector)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if existing, ok := twice.ExistingCollector.(C); ok {
			return existing, nil
		}
	}
	if err != nil {
		return collector, fmt.Errorf("registering metrics: %w", err)
	}
	return collector, nil
}

// outcomes lists every value of the errcode label.
func outcomes() []string {
	labels := []string{strconv.Itoa(CodeOK), outcomeOther, outcomeTimeout, outcomeUnreachable, outcomeBadResponse, outcomeCanceled}
	for _, code := range KnownCodes() {
		labels = append(labels, strconv.Itoa(code))
	}
	return labels
}

// observe counts one call.
func (m *metrics) observe(api string, took time.Duration, err error) {
	m.requests.WithLabelValues(api, outcome(err)).Inc()
	m.duration.WithLabelValues(api).Observe(took.Seconds())
}

// begin begins a call, whose end is counted, and recorded if it is for a request that is.
func (m *metrics) begin(ctx context.Context, api string) (of context.Context, ended func(err error)) {
	start := time.Now()
	of, call := span.Start(ctx, span.Client, "wechat", api)
	call.Set(attribute.String("wxgate.wechat.api", api), attribute.String("server.address", m.host))
	return of, func(err error) {
		m.observe(api, time.Since(start), err)
		if code, answered := errcodeOf(err); answered {
			call.Set(attribute.String("wxgate.wechat.errcode", strconv.Itoa(code)))
		}
		if err != nil {
			call.Fail(outcome(err))
		}
		call.End()
	}
}

// errcodeOf is the errcode of what a call returned, if WeChat has answered with one.
func errcodeOf(err error) (code int, answered bool) {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Code, true
	}
	return CodeOK, err == nil
}

// outcome returns the label of what a call returned.
func outcome(err error) string {
	code, answered := errcodeOf(err)
	switch {
	case answered && (code == CodeOK || known(code)):
		return strconv.Itoa(code)
	case answered:
		return outcomeOther
	case errors.Is(err, ErrTimeout):
		return outcomeTimeout
	case errors.Is(err, ErrUnreachable):
		return outcomeUnreachable
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	}
	return outcomeBadResponse
}
