package histogram

import (
	"encoding/hex"
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

// Request is the request that a value is of.
type Request struct {
	ID      string
	TraceID [16]byte // of the trace that is recorded of it; zero: none is
}

// Observe records a value of a request.
func (o *Observer) Observe(value float64, of Request, now time.Time) {
	bucket, _ := slices.BinarySearch(o.bounds, value)
	last, second := o.made[bucket].Load(), now.Unix()
	if last != second && of.fits() && o.made[bucket].CompareAndSwap(last, second) {
		o.exemplary.ObserveWithExemplar(value, of.labels())
		return
	}
	o.plain.Observe(value)
}

const (
	labelRequestID = "request_id"
	labelTraceID   = "trace_id"
)

// fits reports whether there can be an exemplar of the request. A trusted proxy may have made its ID, and client_golang
// panics over labels that are too long or no UTF-8.
func (r Request) fits() bool { return r.ID != "" && r.room() >= 0 && utf8.ValidString(r.ID) }

// room is how much there is in the labels of an exemplar beside the ID.
func (r Request) room() int { return prometheus.ExemplarMaxRunes - len(labelRequestID) - len(r.ID) }

// labels are those of the exemplar of a request that fits.
func (r Request) labels() prometheus.Labels {
	labels := prometheus.Labels{labelRequestID: strings.Clone(r.ID)}
	if r.TraceID != [16]byte{} && r.room() >= len(labelTraceID)+hex.EncodedLen(len(r.TraceID)) {
		labels[labelTraceID] = hex.EncodeToString(r.TraceID[:])
	}
	return labels
}
