package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// The ways in which an exchange fails. A caller tells them apart with errors.Is; the texts around them are for logs,
// never for a client: they may hold addresses.
var (
	// ErrConnect is a service that no connection could be made to: refused, no such name, TLS failed, or
	// timeouts.connect is over. Nothing was sent.
	ErrConnect = errors.New("upstream connect")
	// ErrReset is a connection that was lost before the answer was whole. The service may have acted on the request.
	ErrReset = errors.New("upstream reset")
	// ErrInvalid is an answer that is not HTTP/1.1 as RFC 9112 has it, or a 101 that nobody asked for.
	ErrInvalid = errors.New("upstream invalid")
	// ErrTimeout is a deadline or timeouts.response that passed before the head of the answer was there, or
	// timeouts.stream that passed within its body.
	ErrTimeout = errors.New("upstream timeout")
	// ErrUnavailable is a service that is not used any more, or ErrOverloaded. Nothing was sent.
	ErrUnavailable = errors.New("upstream unavailable")
	// ErrOverloaded is a bound of ours that the request met: the queue is full or did not move in time, or there was no
	// turn to dial, no CPU time, descriptor, port or memory. It comes with ErrUnavailable or, when the deadline passed
	// meanwhile, ErrTimeout. It says nothing of the service. Nothing was sent.
	ErrOverloaded = errors.New("upstream overloaded")
	// ErrRemoved is a pool that was closed between being chosen and being used: it comes with ErrUnavailable. Nothing was sent.
	ErrRemoved = errors.New("removed")
	// ErrStopped is an exchange whose context was cancelled. The service may have acted on the request.
	ErrStopped = errors.New("stopped")
	// ErrRequestBody is a request whose own body failed: its reader's error is wrapped beside this one, and the service
	// saw the request break off. Test for the reader's error first.
	ErrRequestBody = errors.New("request body")
	// ErrSlowBody is an ErrRequestBody whose body was not there when the request's deadline came: nobody's fault but the
	// sender's.
	ErrSlowBody = fmt.Errorf("%w: it took longer than the request may", ErrRequestBody)
)

// endOf is what the end of ctx makes of its exchange: ErrTimeout at its deadline, else ErrStopped; nil while it has not ended.
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
