package compress

import (
	"bytes"
	"net/http"

	"wxgate/message"
)

// minLength is the shortest body in bytes that is compressed: a shorter one fits into one packet as it is.
const minLength = 1 << 10

const fieldAcceptEncoding = "Accept-Encoding"

// isCompressible reports whether an answer may be compressed, for a client that accepts it.
func isCompressible(resp *message.Response) bool {
	switch resp.Status {
	case http.StatusNoContent, http.StatusPartialContent, http.StatusNotModified:
		return false
	}
	return resp.Status >= http.StatusOK && resp.Upgrade == "" && isLong(resp) && isText(resp.Fields.Get("Content-Type")) && isOpen(&resp.Fields)
}

// isLong reports whether the body is worth it, as far as its length is known.
func isLong(resp *message.Response) bool {
	if resp.Stream == nil && !resp.Bodiless {
		return len(resp.Body) >= minLength
	}
	return resp.Length < 0 || resp.Length >= minLength
}

// isOpen reports whether nothing in an answer says that its body must stay as it is: a coding that it has, a part of it
// that it is, a digest of it (RFC 9530), or no-transform (RFC 9111 §5.2.2.6).
func isOpen(fields *message.Fields) bool {
	for name, value := range fields.All() {
		switch {
		case len(name) < len("Digest") || len(name) > len("Content-Encoding"):
		case message.EqualFold(name, "Content-Encoding") || message.EqualFold(name, "Content-Range"):
			return false
		case message.EqualFold(name, "Content-MD5") || message.EqualFold(name, "Digest") || message.EqualFold(name, "Content-Digest") ||
			message.EqualFold(name, "Repr-Digest"):
			return false
		case message.EqualFold(name, "Cache-Control") && message.ListContains(value, "no-transform"):
			return false
		}
	}
	return true
}

// isText reports whether a media type is text, which compresses well. Event streams are for programs that wait for each
// event, and many of those decode nothing.
func isText(mediaType []byte) bool {
	mediaType, _, _ = bytes.Cut(mediaType, []byte{';'})
	mediaType = bytes.Trim(mediaType, " \t")
	if hasPrefixFold(mediaType, "text/") {
		return !message.EqualFold(mediaType, "text/event-stream")
	}
	if hasSuffixFold(mediaType, "+json") || hasSuffixFold(mediaType, "+xml") {
		return true
	}
	if !hasPrefixFold(mediaType, "application/") {
		return false
	}
	switch subtype := mediaType[len("application/"):]; len(subtype) {
	case len("xml"):
		return message.EqualFold(subtype, "xml")
	case len("json"):
		return message.EqualFold(subtype, "json") || message.EqualFold(subtype, "yaml")
	case len("x-ndjson"):
		return message.EqualFold(subtype, "x-ndjson")
	case len("javascript"):
		return message.EqualFold(subtype, "javascript")
	}
	return false
}

func hasPrefixFold(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && message.EqualFold(text[:len(prefix)], prefix)
}

func hasSuffixFold(text []byte, suffix string) bool {
	return len(text) >= len(suffix) && message.EqualFold(text[len(text)-len(suffix):], suffix)
}

// rewriteHead makes the head one of an answer in a coding: another representation of the resource, which has no strong
// validator any more (RFC 9110 §8.8.1), no length that is known, and no ranges.
func rewriteHead(resp *message.Response, as coding) {
	fields := &resp.Fields
	fields.DeleteFunc(func(name []byte) bool {
		return message.EqualFold(name, "Content-Length") || message.EqualFold(name, "Accept-Ranges")
	})
	resp.Sized, resp.Length = false, -1
	weakenETag(fields)
	fields.Add("Content-Encoding", as.String())
}

// weakenETag makes a strong validator weak.
func weakenETag(fields *message.Fields) {
	for i := range fields.Len() {
		if name, tag := fields.Line(i); message.EqualFold(name, "ETag") && len(tag) > 0 && tag[0] == '"' {
			fields.SetValue(i, append([]byte("W/"), tag...))
		}
	}
}

// fitNotModified makes a 304 about the answer that the client has: with the validator under which it knows that, where it
// was weakened (RFC 9111 §4.3.4), and with what that answer depends on (RFC 9110 §15.4.5).
func fitNotModified(req *message.Fields, resp *message.Response) {
	if mediaType := resp.Fields.Get("Content-Type"); len(mediaType) > 0 && !isText(mediaType) {
		return
	}
	resp.Fields.AddVary(fieldAcceptEncoding)
	tag := resp.Fields.Get("ETag")
	if len(tag) == 0 || tag[0] != '"' {
		return
	}
	weak := append([]byte("W/"), tag...)
	for value := range req.Values("If-None-Match") {
		if bytes.Contains(value, weak) {
			weakenETag(&resp.Fields)
			return
		}
	}
}
