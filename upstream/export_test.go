package upstream

import "time"

// WaitForSlots sets how long a request waits for one of max_conns connections.
func (u *Upstream) WaitForSlots(d time.Duration) { u.pool.wait = d }
