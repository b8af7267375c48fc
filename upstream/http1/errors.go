package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// The ways in which an exchange fails. Callers tell them apart with errors.Is; the texts around them are for logs,
// never for a client: they may contain addresses.
var (
	// ErrConnect is a connection that could not be made: it was refused, the name does not exist, TLS failed, or
	// timeouts.connect passed. Nothing was sent.
	ErrConnect = errors.New("upstream connect")
	// ErrReset is a connection that was lost before the answer was complete. The service may have acted on the request.
	ErrReset = errors.New("upstream reset")
	// ErrInvalid is an answer that is not HTTP/1.1 as RFC 9112 defines it, or an unrequested 101.
	ErrInvalid = errors.New("upstream invalid")
	// ErrTimeout is a deadline or timeouts.response that passed before the head of the answer was there, or
	// timeouts.stream that passed within its body.
	ErrTimeout = errors.New("upstream timeout")
	// ErrUnavailable is an upstream that is closed, or ErrOverloaded. Nothing was sent.
	ErrUnavailable = errors.New("upstream unavailable")
	// ErrOverloaded is a limit of our own that the request met: the queue was full or did not move in time, or there
	// was no turn to dial, no CPU time, descriptor, port or memory. It comes with ErrUnavailable or, if the deadline
	// passed meanwhile, ErrTimeout. It says nothing about the service. Nothing was sent.
	ErrOverloaded = errors.New("upstream overloaded")
	// ErrRemoved is a pool that was closed after it was chosen. It comes with ErrUnavailable. Nothing was sent.
	ErrRemoved = errors.New("removed")
	// ErrStopped is an exchange whose context was cancelled. The service may have acted on the request.
	ErrStopped = errors.New("stopped")
	// ErrRequestBody is a request whose own body failed. The reader's error is wrapped beside this one: test for that
	// first. The service saw the request break off.
	ErrRequestBody = errors.New("request body")
	// ErrSlowBody is an ErrRequestBody whose body had not arrived at the request's deadline, which is its sender's
	// fault alone.
	ErrSlowBody = fmt.Errorf("%w: it did not arrive before the deadline", ErrRequestBody)
)

// endOf is what the end of ctx makes of its exchange: ErrTimeout at its deadline, else ErrStopped; nil while it has not
// ended.
func endOf(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return ErrStopped
}

// unanswered is a connection that was lost, or a time that was over, before the first byte of an answer.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

func isUnanswered(err error) bool {
	var u unanswered
	return errors.As(err, &u)
}

// ioError says what a failed read or write on a connection means. An end of the connection never passes for io.EOF,
// which is how a body says that it is whole.
func ioError(doing string, err error) error {
	kind := ErrReset
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if timedOut(err) {
		kind = ErrTimeout
	}
	return fmt.Errorf("%w: %s: %w", kind, doing, err)
}

// invalid is an ErrInvalid that says which rule the answer broke. It never quotes the answer.
func invalid(rule string) error { return fmt.Errorf("%w: %s", ErrInvalid, rule) }

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
