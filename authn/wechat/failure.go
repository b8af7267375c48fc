package wechat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// transportError names what net/http reports. The text of err itself is dropped: it may quote an address, a proxy's
// password or bytes of the far end. ErrContent is the caller's own. connected reports whether there was a connection, so that something may have been sent.
func transportError(ctx context.Context, err error, connected bool) error {
	var network net.Error
	switch {
	case errors.Is(err, ErrContent):
		return err
	case errors.Is(context.Cause(ctx), context.Canceled):
		return context.Canceled
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return ErrTimeout
	case !connected:
		return fmt.Errorf("%w: %s", ErrUnreachable, cause(err))
	}
	return fmt.Errorf("%w: %s", ErrBadResponse, cause(err))
}

// cause puts an error of the network into words of ours.
func cause(err error) string {
	var (
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return "the name does not resolve"
	case errors.As(err, &certificate):
		return "the certificate is not trusted (does the image have ca-certificates?)"
	case errors.As(err, &record):
		return "the far end does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the answer was complete"
	}
	return "the connection broke or did not speak HTTP"
}
