// Package histogram makes the histograms of every package alike: with native buckets where the section metrics asks for
// them, and with exemplars that requests do not pay for.
package histogram

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is the section metrics.
type Config struct {
	NativeHistograms bool `yaml:"native_histograms"` // every histogram has native buckets too
}

// Registry is a registry that knows which buckets the histograms on it have.
type Registry struct {
	*prometheus.Registry
	native bool
}

// NewRegistry returns an empty registry.
func NewRegistry(cfg Config) *Registry {
	return &Registry{prometheus.NewRegistry(), cfg.NativeHistograms}
}

// The resolution of native buckets, and the bound on their number: with each factor of two divided in eight, 160 buckets
// reach from a microsecond to a second. A histogram that needs more begins anew after an hour, or doubles their width.
const (
	nativeFactor  = 1.1
	nativeBuckets = 160
	nativeReset   = time.Hour
)

// Options returns opts as histograms on reg have them: with native buckets too if reg is a Registry that wants them.
func Options(reg prometheus.Registerer, opts prometheus.HistogramOpts) prometheus.HistogramOpts {
	if r, ok := reg.(*Registry); ok && r.native {
		opts.NativeHistogramBucketFactor = nativeFactor
		opts.NativeHistogramMaxBucketNumber = nativeBuckets
		opts.NativeHistogramMinResetDuration = nativeReset
	}
	return opts
}
