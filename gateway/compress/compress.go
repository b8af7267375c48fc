// Package compress compresses answers of services on their way to clients: text, in the content coding that a client
// wants most (RFC 9110 §12.5.3). A body is compressed as it comes, and what a service has sent is never held back.
package compress

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
)

// How many bodies are compressed at a time; answers beyond that pass as they are. Each has an encoder of one to two and a
// half megabytes: one that is still arriving until its client has read it, one that is there for as long as that takes.
const (
	maxStreams = 32
	maxWhole   = 16
)

// Compressor compresses answers. It is safe for concurrent use.
type Compressor struct {
	idle    [codings]sync.Pool // of *buffer
	streams places
	whole   places
	results [results]prometheus.Counter
}

// places counts the bodies that are being compressed.
type places struct{ taken atomic.Int64 }

// acquire takes one of so many places; if it returns true, release must follow.
func (p *places) acquire(most int64) bool {
	if p.taken.Add(1) <= most {
		return true
	}
	p.release()
	return false
}

func (p *places) release() { p.taken.Add(-1) }

// The results of answers that could be compressed: a coding, or why they were not.
const (
	pressure = int(codings) + iota // the process is short of CPU
	encoders                       // all are in use
	results
)

// New returns a Compressor that counts in reg.
func New(reg prometheus.Registerer) *Compressor {
	c := new(Compressor)
	for as := range codings {
		c.idle[as].New = func() any { return &buffer{encoder: newEncoder(as)} }
	}
	counters := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_compressions_total", Help: "Answers that a client would take compressed, by what became of them.",
	}, []string{"result"})
	reg.MustRegister(counters)
	for as := range codings {
		c.results[as] = counters.WithLabelValues(as.String())
	}
	c.results[pressure], c.results[encoders] = counters.WithLabelValues("pressure"), counters.WithLabelValues("encoders")
	return c
}

// Apply compresses the answer to a request, if both allow it. busy reports whether the process is short of CPU. The answer
// to HEAD gets the head of that to GET, without a length (RFC 9110 §9.3.2).
func (c *Compressor) Apply(req *message.Fields, resp *message.Response, busy func() bool) {
	if resp.Status == http.StatusNotModified {
		fitNotModified(req, resp)
		return
	}
	if !isCompressible(resp) {
		return
	}
	resp.Fields.AddVary(fieldAcceptEncoding)
	as := preferred(req)
	if as == asIs {
		return
	}
	result := pressure
	if !busy() {
		result = c.compress(resp, as)
	}
	c.results[result].Inc()
}

// compress gives an answer a coding, and returns its result.
func (c *Compressor) compress(resp *message.Response, as coding) int {
	switch {
	case resp.Bodiless:
	case resp.Stream != nil:
		if !c.streams.acquire(maxStreams) {
			return encoders
		}
		b := c.buffer(as)
		b.begin()
		resp.Stream = &stream{source: resp.Stream, buffer: b, release: func(b *buffer) {
			c.idle[as].Put(b)
			c.streams.release()
		}}
	default:
		if !c.whole.acquire(maxWhole) {
			return encoders
		}
		defer c.whole.release()
		b := c.buffer(as)
		resp.Body = append(resp.Body[:0], b.whole(resp.Body)...)
		c.idle[as].Put(b)
	}
	rewriteHead(resp, as)
	return int(as)
}

// buffer returns one that is not in use.
func (c *Compressor) buffer(as coding) *buffer {
	b, _ := c.idle[as].Get().(*buffer)
	return b
}
