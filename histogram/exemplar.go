package histogram

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// Observer records values with exemplars: the requests that they are of. Making an exemplar allocates, so that each
// bucket gets one a second at most, and all other values cost what they cost without. It is safe for concurrent use.
type Observer struct {
	plain     prometheus.Observer
	exemplary prometheus.ExemplarObserver // the same
	bounds    []float64
	made      []atomic.Int64 // when the exemplar of each bucket was made, in Unix seconds
}

// NewObserver is for a histogram of client_golang whose buckets end at bounds.
func NewObserver(of prometheus.Observer, bounds []float64) *Observer {
	return &Observer{of, of.(prometheus.ExemplarObserver), bounds, make([]atomic.Int64, len(bounds)+1)}
}

// Observe records a value of the request with that id.
func (o *Observer) Observe(value float64, requestID string, now time.Time) {
	bucket, _ := slices.BinarySearch(o.bounds, value)
	last, second := o.made[bucket].Load(), now.Unix()
	if last == second || !fits(requestID) || !o.made[bucket].CompareAndSwap(last, second) {
		o.plain.Observe(value)
		return
	}
	o.exemplary.ObserveWithExemplar(value, prometheus.Labels{labelRequestID: strings.Clone(requestID)})
}

const labelRequestID = "request_id"

// fits reports whether an exemplar may hold a request ID, which a trusted proxy may have made: client_golang panics over
// what is too long or is no UTF-8.
func fits(requestID string) bool {
	return requestID != "" && len(labelRequestID)+len(requestID) <= prometheus.ExemplarMaxRunes && utf8.ValidString(requestID)
}
