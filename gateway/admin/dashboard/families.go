package dashboard

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// families are the series of a registry at one moment, by name.
type families map[string][]*dto.Metric

// gather reads what can be read: a collector that fails takes nothing from the others.
func gather(from prometheus.Gatherer) families {
	read, _ := from.Gather() // whose metrics cannot be gathered, /metrics says
	all := make(families, len(read))
	for _, family := range read {
		all[family.GetName()] = family.GetMetric()
	}
	return all
}

// valueOf is that of a counter or a gauge; 0 for what is no number in JSON.
func valueOf(m *dto.Metric) float64 {
	value := m.GetGauge().GetValue()
	if m.Counter != nil {
		value = m.GetCounter().GetValue()
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0
	}
	return value
}

// label is the value of a label, "" without one.
func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// sum is that of all series of a name.
func (f families) sum(name string) (total float64) {
	for _, m := range f[name] {
		total += valueOf(m)
	}
	return total
}

// sumBy sums the series of a name by the values of some labels.
func (f families) sumBy(name string, labels ...string) map[string]float64 {
	sums := map[string]float64{}
	for _, m := range f[name] {
		sums[keyOf(m, labels)] += valueOf(m)
	}
	return sums
}

// keyOf joins the values of labels.
func keyOf(m *dto.Metric, labels []string) (key string) {
	for i, name := range labels {
		if i > 0 {
			key += "\x00"
		}
		key += label(m, name)
	}
	return key
}

// Histogram is a classic histogram; its counts are cumulative, and the bucket of +Inf is the count.
type Histogram struct {
	Count   uint64   `json:"count"`
	Sum     float64  `json:"sum"` // seconds
	Buckets []Bucket `json:"buckets"`
}

// Bucket counts what took no longer than its bound.
type Bucket struct {
	Bound float64 `json:"le"` // seconds
	Count uint64  `json:"count"`
}

// histogram adds up the histograms of a name, which have the same buckets.
func (f families) histogram(name string) Histogram {
	h := Histogram{Buckets: []Bucket{}}
	for _, m := range f[name] {
		h.add(m.GetHistogram())
	}
	return h
}

func (h *Histogram) add(other *dto.Histogram) {
	h.Count += other.GetSampleCount()
	h.Sum += other.GetSampleSum()
	for i, b := range other.GetBucket() {
		if i >= len(h.Buckets) || h.Buckets[i].Bound != b.GetUpperBound() {
			i = h.bucket(b.GetUpperBound())
		}
		h.Buckets[i].Count += b.GetCumulativeCount()
	}
}

// bucket is the place of the bucket with that bound, which is made where there is none.
func (h *Histogram) bucket(bound float64) int {
	i, found := slices.BinarySearchFunc(h.Buckets, bound, func(own Bucket, bound float64) int { return cmp.Compare(own.Bound, bound) })
	if !found {
		h.Buckets = slices.Insert(h.Buckets, i, Bucket{Bound: bound})
	}
	return i
}

// quantile interpolates within the bucket, as histogram_quantile of Prometheus does: seconds, at most the last bound.
func (h Histogram) quantile(q float64) float64 {
	rank, below := q*float64(h.Count), Bucket{}
	for _, b := range h.Buckets {
		if count := float64(b.Count); count >= rank && b.Count > below.Count {
			return below.Bound + (b.Bound-below.Bound)*(rank-float64(below.Count))/float64(b.Count-below.Count)
		}
		below = b
	}
	return below.Bound
}
