package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxgate/storage"
)

// class is what to do about an error.
type class int

const (
	fatal     class = iota // report it
	again                  // run the whole operation again, on the same server
	reconnect              // close the connection, and run it again on whichever server answers
	elsewhere              // the same, beginning with the next server
	classes
)

// names are the labels of the classes.
func (class) names() [classes]string {
	return [classes]string{"fatal", "conflict", "connection", "server"}
}

// classOf tells conflicts from servers that are gone, and both from mistakes.
func classOf(err error) class {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return classOfNumber(answer.Number)
	}
	var network net.Error
	switch {
	case errors.Is(err, sql.ErrNoRows), errors.Is(err, storage.ErrNotFound), errors.Is(err, context.Canceled):
		return fatal
	case errors.Is(err, errNotReady):
		return elsewhere
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network),
		errors.Is(err, mysql.ErrMalformPkt), errors.Is(err, mysql.ErrPktSync), errors.Is(err, mysql.ErrPktSyncMul):
		return reconnect
	}
	return fatal
}

// classOfNumber knows the errors of MySQL, MariaDB and Galera.
func classOfNumber(number uint16) class {
	switch number {
	case 1213, 1205, 3572, // deadlock, also one of Galera's certification; a lock that was not to be had
		1062, 1020, // somebody else wrote the row since we looked
		1317, 1969, 3024: // interrupted, also for another node's write; the server's limit of time
		return again
	case 1040, 1203, 1226: // too many connections: ours wait
		return again
	case 1047, 1180, // a Galera node that has left the others
		1290, 1792, 1836, // read-only
		1021, 1114, 1026, 1030, 3, 20, // its disk is full, or fails
		1053: // shutting down
		return elsewhere
	case 1927, 4031, 1152, 1158, 1159, 1160, 1161: // killed; idle for too long; the network
		return reconnect
	}
	return fatal
}

// isRolledBack reports whether the answer to a COMMIT says that nothing was committed.
func isRolledBack(err error) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && slices.Contains([]uint16{1213, 1205, 1062, 1020}, answer.Number)
}

// backoff is the waiting between attempts.
type backoff struct{ next time.Duration }

const (
	backoffLeast = 2 * time.Millisecond
	backoffMost  = 250 * time.Millisecond
)

func newBackoff() *backoff { return &backoff{backoffLeast} }

// pause waits, longer each time, and reports whether there is time for another attempt.
func (b *backoff) pause(ctx context.Context) bool {
	timer := time.NewTimer(b.next/2 + jitter(b.next))
	defer timer.Stop()
	b.next = min(2*b.next, backoffMost)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// jitter is a random part of a span: writers that met once do not meet again.
func jitter(span time.Duration) time.Duration {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	return time.Duration(binary.LittleEndian.Uint64(random[:]) % uint64(span))
}
