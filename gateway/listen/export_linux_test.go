package listen

import "errors"

// ShutQueue keeps newcomers out, as Drain does at its begin.
func (l *Listener) ShutQueue() error {
	q, ok := acceptQueueOf(l.accepting)
	if !ok {
		return errors.New("a listener without a socket")
	}
	return q.shut()
}
