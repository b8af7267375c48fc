package admin

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// errReader is a reader that has left or takes nothing.
var errReader = errors.New("the reader of the answer has left")

// patientWriter gives each write a minute.
type patientWriter struct {
	to      io.Writer
	control *http.ResponseController
}

// Write extends the write deadline.
func (w patientWriter) Write(p []byte) (int, error) {
	if err := w.extend(); err != nil {
		return 0, err
	}
	n, err := w.to.Write(p)
	if err != nil {
		err = errors.Join(errReader, err)
	}
	return n, err
}

func (w patientWriter) extend() error { return w.control.SetWriteDeadline(time.Now().Add(time.Minute)) }

// patientReader gives each read of a request's body ten seconds, and then the answer all the time it takes: net/http ends the
// context of a request whose read deadline passes.
type patientReader struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read extends the read deadline.
func (r patientReader) Read(p []byte) (int, error) {
	if err := r.control.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	n, err := r.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = r.control.SetReadDeadline(time.Time{}) // a connection that is broken says so elsewhere
	}
	return n, err
}
