package admin

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/lograte"
)

// serviceCalls counts the calls of services, and logs each in one line.
type serviceCalls struct {
	log   *slog.Logger
	now   func() time.Time
	total *prometheus.CounterVec
}

func newServiceCalls(deps Deps) *serviceCalls {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_service_calls_total", Help: "Calls of the admin API by the services of server.services.",
	}, []string{"service", "endpoint", "code"})
	deps.Metrics.MustRegister(total)
	return &serviceCalls{deps.Log, deps.Now, total}
}

// The labels of what has no value of its own.
const (
	endpointUnmatched = "unmatched" // a path that the API does not have
	codeAborted       = "aborted"   // an answer that broke off
)

// serviceCall is a call of a service, in the context of the request.
type serviceCall struct {
	service *Service
	logged  bool  // a line of the log has the call already
	refused error // why it was not permitted; nil: it was
}

// callKey is the key of a serviceCall in a context.
type callKey struct{}

// callOf returns the call that a request is; nil: it is the operator's.
func callOf(r *http.Request) *serviceCall {
	call, _ := r.Context().Value(callKey{}).(*serviceCall)
	return call
}

// serve serves a request of a service.
func (c *serviceCalls) serve(w http.ResponseWriter, r *http.Request, service *Service, next http.Handler) {
	call, start := &serviceCall{service: service}, c.now()
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, call))
	written := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	status := 0
	defer func() { c.record(r, call, status, c.now().Sub(start)) }()
	next.ServeHTTP(written, r)
	status = written.status
}

// record counts a call and logs it; status 0: its answer broke off.
func (c *serviceCalls) record(r *http.Request, call *serviceCall, status int, took time.Duration) {
	endpoint, code := r.Pattern, strconv.Itoa(status) // the mux has set the pattern
	if endpoint == "/" {
		endpoint = endpointUnmatched
	}
	if status == 0 {
		code = codeAborted
	}
	c.total.WithLabelValues(call.service.Name, endpoint, code).Inc()
	if call.logged {
		return
	}
	attributes := []any{
		"service", call.service.Name, "request", endpoint, "id", lograte.Clip([]byte(r.PathValue("id"))), "status", status,
		"from", r.RemoteAddr, "duration_ms", took.Milliseconds(),
	}
	if call.refused != nil {
		c.log.Warn("service call refused", append(attributes, "error", call.refused)...)
		return
	}
	c.log.Info("service call", attributes...)
}

// event logs what a request did, who sent it and from where. It is the line of a service's call.
func event(log *slog.Logger, r *http.Request, message string, attributes ...any) {
	if call := callOf(r); call != nil {
		call.logged = true
		attributes = append(attributes, "service", call.service.Name)
	}
	log.Info(message, append(attributes, "by", callerOf(r).String(), "from", r.RemoteAddr)...)
}

// permitted serves the operator, and services that have one of the scopes that a request needs.
func (a responder) permitted(need needs, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if call := callOf(r); call != nil {
			if call.refused = call.service.permit(need(r)); call.refused != nil {
				a.fail(w, call.refused)
				return
			}
		}
		serve(w, r)
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
