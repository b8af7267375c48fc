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
	elsewhere              // close the connection, and run it again on whichever server answers
	classes
)

// names are the labels of the classes.
func (class) names() [classes]string { return [classes]string{"fatal", "conflict", "server"} }

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
	case errors.Is(err, errNotReady), errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		return elsewhere
	}
	return fatal
}

// classOfNumber knows the errors of MySQL, MariaDB and Galera.
func classOfNumber(number uint16) class {
	switch number {
	case 1213, 1205, // deadlock, also one of Galera's certification; a lock that was not to be had
		1062, 1020, 3572: // somebody else wrote the row since we looked
		return again
	case 1040, 1203, 1226: // too many connections: ours wait
		return again
	case 1047, 1180, // a Galera node that has left the others
		1290, 1792, 1836, // read-only
		1053, 1927, 1158, 1159, 1160, 1161: // shutting down; killed; the network
		return elsewhere
	}
	return fatal
}

// isHostFailure reports whether a server says that it has failed: a connection alone may have been closed for being idle.
func isHostFailure(err error) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) || errors.Is(err, errNotReady)
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
