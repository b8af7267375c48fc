package upstream

// Shares reports whether other requests may follow content on a connection.
func (t *trip) Shares() bool {
	return t.fleet.cfg.Keepalive.ReuseAfterBody && !t.up.undrained.Load()
}

// markUndrained is called when t said something that nobody had asked for on a connection that had carried content.
func (u *Upstream) markUndrained(t *target) {
	t.metrics.unasked.Inc()
	if u.undrained.Swap(true) {
		return
	}
	u.journal.undrained(t)
	for _, e := range u.fleet.Load().endpoints {
		e.pool.CloseCarried()
	}
}
