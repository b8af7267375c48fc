package upstream

// ReuseAfterBody reports whether other requests may follow content on a connection.
func (t *roundTrip) ReuseAfterBody() bool {
	return t.cluster.cfg.Keepalive.ReuseAfterBody && !t.up.undrained.Load()
}

// markUndrained is called when t said something that nobody had asked for on a connection that had carried content.
func (u *Upstream) markUndrained(t *target) {
	t.metrics.unsolicited.Inc()
	if u.undrained.Swap(true) {
		return
	}
	u.events.undrained(t)
	for _, e := range u.cluster.Load().endpoints {
		e.pool.CloseCarried()
	}
}
