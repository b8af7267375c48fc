package load

import (
	"os"
	"time"

	"wxgate/bench/proc"
)

// meter measures from the end of the warm-up for the duration.
type meter struct {
	cfg       *Config
	warm      time.Time // when the warm-up ends
	end       time.Time // when the measured part ends; zero before it has begun
	began     time.Time
	histogram *histogram
	count     Result
	before    snapshot
	after     snapshot
}

// snapshot is what had been used at one moment.
type snapshot struct {
	at         time.Time
	gateway    proc.Usage
	busy       time.Duration // of the gateway's CPU
	helpers    time.Duration // with our own
	busyOnOurs time.Duration
}

func newMeter(cfg *Config) *meter {
	cfg.Watched.Helpers = append(cfg.Watched.Helpers, os.Getpid())
	return &meter{cfg: cfg, histogram: newHistogram(), count: Result{Status: map[int]int64{}}}
}

func (m *meter) start(now time.Time) { m.warm = now.Add(m.cfg.Warmup) }

// measureNow begins the measured part without a warm-up.
func (m *meter) measureNow(now time.Time) {
	m.before = m.snapshot()
	m.began, m.end = now, now.Add(max(m.cfg.Duration, time.Hour))
}

// tick begins the measured part when it is time, and takes the second snapshot when it has ended.
func (m *meter) tick(now time.Time) {
	switch {
	case m.end.IsZero() && now.After(m.warm):
		m.before = m.snapshot()
		m.began = m.before.at
		m.end = m.before.at.Add(m.cfg.Duration)
	case m.over(now):
		m.after = m.snapshot()
	}
}

func (m *meter) measuring() bool { return !m.end.IsZero() && m.after.at.IsZero() }

func (m *meter) over(now time.Time) bool { return !m.end.IsZero() && now.After(m.end) }

func (m *meter) answered(status int, latency time.Duration) {
	if !m.measuring() {
		return
	}
	m.histogram.add(latency)
	m.count.Requests++
	m.count.Status[status]++
	if status != m.cfg.Want {
		m.count.Unexpected++
	}
}

func (m *meter) failed() {
	if m.measuring() {
		m.count.Errors++
	}
}

func (m *meter) behind() {
	if m.measuring() {
		m.count.Behind++
	}
}

func (m *meter) snapshot() snapshot {
	s := snapshot{at: time.Now(), gateway: proc.Read(m.cfg.Watched.Gateway)}
	if m.cfg.Watched.GatewayCPU >= 0 {
		s.busy = proc.Busy(m.cfg.Watched.GatewayCPU)
	}
	if m.cfg.Watched.LoadCPU >= 0 {
		s.busyOnOurs = proc.Busy(m.cfg.Watched.LoadCPU)
		s.helpers = proc.CPU(m.cfg.Watched.Helpers)
	}
	return s
}

// result is that of the measured part, or until now if it has not ended.
func (m *meter) result() Result {
	if m.after.at.IsZero() {
		m.after = m.snapshot()
	}
	r, a, b := m.count, m.before, m.after
	r.Seconds = b.at.Sub(a.at).Seconds()
	r.PerSecond = float64(r.Requests) / r.Seconds
	r.P50, r.P99, r.Max = m.histogram.quantile(.5), m.histogram.quantile(.99), float64(m.histogram.max.Microseconds())
	used := (b.gateway.CPU - a.gateway.CPU).Seconds()
	r.CPUShare = used / r.Seconds
	if r.Requests > 0 {
		r.CPU = used * 1e6 / float64(r.Requests)
		r.Switches = float64(b.gateway.Switches-a.gateway.Switches) / float64(r.Requests)
	}
	if m.cfg.Watched.GatewayCPU >= 0 {
		r.Foreign = max(0, (b.busy-a.busy).Seconds()/r.Seconds-r.CPUShare)
	}
	if m.cfg.Watched.LoadCPU >= 0 {
		r.ForeignOur = max(0, ((b.busyOnOurs-a.busyOnOurs)-(b.helpers-a.helpers)).Seconds()/r.Seconds)
	}
	return r
}
