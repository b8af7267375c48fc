package http1

import (
	"bytes"
	"net/http"
	"slices"

	"wxgate/message"
)

// hopByHop reads the fields of the connection and of framing, and reports whether this was one: those are
// hop-by-hop and end here (RFC 9110 §7.6.1). Proxy-Authenticate is one too: it asks the gateway, not the client.
func (h *head) hopByHop(name, value []byte) (bool, error) {
	switch len(name) {
	case len("TE"):
		return message.EqualFold(name, "te"), nil
	case len("Trailer"): // and Upgrade
		return message.EqualFold(name, "trailer") || message.EqualFold(name, "upgrade"), nil
	case len("Connection"): // and Keep-Alive
		if message.EqualFold(name, "connection") {
			h.connection(value)
			return true, nil
		}
		return message.EqualFold(name, "keep-alive"), nil
	case len("Content-Length"):
		return message.EqualFold(name, "content-length"), h.contentLength(name, value)
	case len("Proxy-Connection"):
		return message.EqualFold(name, "proxy-connection"), nil
	case len("Transfer-Encoding"):
		return message.EqualFold(name, "transfer-encoding"), h.transferEncoding(name, value)
	case len("Proxy-Authenticate"):
		return message.EqualFold(name, "proxy-authenticate"), nil
	}
	return false, nil
}

func (h *head) contentLength(name, value []byte) error {
	if !message.EqualFold(name, "content-length") {
		return nil
	}
	n, ok := digits(value)
	if !ok {
		return invalid("malformed Content-Length")
	}
	h.length = n
	h.lengths++
	return nil
}

// transferEncoding knows chunked alone: whoever sends another coding was not asked for it (RFC 9112 §7).
func (h *head) transferEncoding(name, value []byte) error {
	if !message.EqualFold(name, "transfer-encoding") {
		return nil
	}
	if h.transferEncoded || !message.EqualFold(value, "chunked") {
		return invalid("a Transfer-Encoding other than chunked")
	}
	h.transferEncoded, h.chunked = true, true
	return nil
}

// keepsPlace reports whether a line of framing or of the connection is one that we would write ourselves, so that it can
// stay as the service wrote it, where it stands: a Content-Length, and the two lines of a 101 to WebSocket.
func (h *head) keepsPlace(name, value []byte) bool {
	switching := h.status == http.StatusSwitchingProtocols
	switch len(name) {
	case len("Content-Length"):
		return (!h.interim() || switching) && message.EqualFold(name, "content-length") && (value[0] != '0' || len(value) == 1)
	case len("Upgrade"):
		return switching && message.EqualFold(name, "upgrade") && message.EqualFold(value, "websocket")
	case len("Connection"):
		return switching && message.EqualFold(name, "connection") && message.EqualFold(value, "upgrade")
	}
	return false
}

// connection takes the options of a Connection field (RFC 9110 §7.6.1).
func (h *head) connection(value []byte) {
	for len(value) > 0 {
		option, rest, _ := bytes.Cut(value, []byte{','})
		option, value = bytes.TrimSpace(option), rest
		switch {
		case len(option) == 0:
		case message.EqualFold(option, "close"):
			h.close = true
		case message.EqualFold(option, "keep-alive"):
			h.keep = true
		case message.EqualFold(option, "upgrade"):
			h.upgrades = true
		default:
			h.named = append(h.named, string(option))
		}
	}
}

// dropNamed removes the fields that Connection named, in whatever case they came.
func (h *head) dropNamed(resp *message.Response) {
	named := h.named // what a closure captures is allocated: not all of h
	if len(named) == 0 {
		return
	}
	resp.Fields.DeleteFunc(func(name []byte) bool {
		frames := message.EqualFold(name, "content-length") // whoever names it cannot remove it
		return !frames && slices.ContainsFunc(named, func(option string) bool { return message.EqualFold(name, option) })
	})
}
