package stream

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strconv"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// piece is the most that one deadline covers: a client that takes half of listen.Config.WriteRate is in time.
const piece = 16 << 10

// WriteResponse answers the request. It returns what listen.Conn.WriteResponse does; the client sees an answer that is
// not whole as a stream that is reset.
func (s *Stream) WriteResponse(resp *message.Response) (bytes int64, err error) {
	if stream := resp.Stream; stream != nil {
		defer func() { _ = stream.Close() }() // a whole one has nothing to say any more
	}
	bodiless := s.isHead || listen.HasNoContent(resp.Status)
	s.writeHead(resp, bodiless)
	switch {
	case bodiless || resp.Bodiless:
		s.inTime()
		if s.source.ProtoMajor == 3 { // whose library would say, of an answer without a length, that it is 0
			_ = s.control.Flush()
		}
	case resp.Stream != nil:
		bytes, err = s.writeStream(resp)
	default:
		bytes, err = s.write(resp.Body)
	}
	s.answered = err == nil
	return bytes, err
}

// writeHead decides the head, which is sent with the first of the body.
func (s *Stream) writeHead(resp *message.Response, bodiless bool) {
	header := s.writer.Header()
	values := make([]string, 0, resp.Fields.Len())
	for name, value := range resp.Fields.All() {
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		if isOurs(key) {
			continue
		}
		values = append(values, string(value))
		if last := len(values) - 1; header[key] == nil {
			header[key] = values[last : last+1 : last+1]
		} else {
			header[key] = append(header[key], values[last])
		}
	}
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil // nobody guesses it
	}
	if n := listen.ContentLength(resp, bodiless); n >= 0 && resp.Status != http.StatusNoContent {
		header["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
	s.writer.WriteHeader(resp.Status)
}

// isOurs reports whether a field of an answer is for connections of HTTP/1.1 (RFC 9113 §8.2.2), or what we decide.
func isOurs(key string) bool {
	switch key {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Trailer", "Content-Length":
		return true
	}
	return false
}

// inTime bounds what is sent next.
func (s *Stream) inTime() { s.written.move(s.control.SetWriteDeadline, s.client.cfg.WriteStall) }

// write writes a part of the body.
func (s *Stream) write(part []byte) (bytes int64, err error) {
	for s.inTime(); len(part) > 0; s.inTime() {
		n, err := s.writer.Write(part[:min(len(part), piece)])
		if bytes += int64(n); err != nil {
			return bytes, errors.Join(listen.ErrClientLeft, err)
		}
		part = part[n:]
	}
	return bytes, nil
}

// writeStream passes the body on as it comes: what is there is sent before it waits for more.
func (s *Stream) writeStream(resp *message.Response) (bytes int64, err error) {
	for stream := resp.Stream; ; {
		if !stream.Ready() {
			s.inTime()
			if err := s.control.Flush(); err != nil {
				return bytes, errors.Join(listen.ErrClientLeft, err)
			}
		}
		part, err := stream.Next()
		switch {
		case err == io.EOF && resp.Length > bytes: //nolint:errorlint // a wrapped one is no end
			return bytes, io.ErrUnexpectedEOF
		case err == io.EOF: //nolint:errorlint // likewise
			s.inTime()
			return bytes, nil
		case err != nil:
			return bytes, err
		case resp.Length >= 0 && int64(len(part)) > resp.Length-bytes:
			return bytes, listen.ErrBodyTooLong
		}
		n, err := s.write(part)
		if bytes += n; err != nil {
			return bytes, err
		}
	}
}
