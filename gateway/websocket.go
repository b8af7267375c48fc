package gateway

import (
	"crypto/sha1" // RFC 6455 §4.2.2 demands it; nothing depends on its strength
	"encoding/base64"
	"fmt"
	"net/http"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/websocket"
	"wxgate/message"
	"wxgate/upstream/http1"
)

// The fields of the opening handshake (RFC 6455 §4.1).
const (
	headerWebSocketKey     = "Sec-WebSocket-Key"
	headerWebSocketVersion = "Sec-WebSocket-Version"
	headerWebSocketAccept  = "Sec-WebSocket-Accept"

	headerWebSocketProtocol = "Sec-WebSocket-Protocol"
)

const (
	upgradeToken      = "upgrade"
	webSocketProtocol = "websocket"
	webSocketVersion  = "13"
	webSocketGUID     = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 §1.3
)

// isWebSocketUpgrade reports whether the request asks to become a WebSocket. Any other Upgrade is ignored, as is every
// one in HTTP/1.0 (RFC 9110 §7.8); there is none on a stream.
func isWebSocketUpgrade(ex *Exchange) bool {
	return ex.whole != nil && ex.classes&header.ClassUpgrade != 0 && ex.request.Version == "1.1" && listContains(&ex.request.Fields, "Upgrade", webSocketProtocol)
}

// listContains reports whether a list of tokens contains one, case-insensitively.
func listContains(h *message.Fields, name, token string) bool {
	for value := range h.Values(name) {
		if message.ListContains(value, token) {
			return true
		}
	}
	return false
}

// checkHandshake validates the opening handshake (RFC 6455 §4.2.1) and returns its key.
func checkHandshake(ex *Exchange) (key string, err error) {
	h := &ex.request.Fields
	key = header.One(h, headerWebSocketKey)
	switch {
	case ex.method != http.MethodGet || ex.body.stream != nil:
		return "", fmt.Errorf("%w: a WebSocket begins with a GET without a body", answer.ErrInvalidRequest)
	case !listContains(h, "Connection", upgradeToken):
		return "", fmt.Errorf("%w: Upgrade without Connection: upgrade", answer.ErrInvalidRequest)
	case listContains(h, "Connection", "close"): // it closes after the answer (RFC 9112 §9.6)
		return "", fmt.Errorf("%w: Upgrade beside Connection: close", answer.ErrInvalidRequest)
	case !validWebSocketKey(key):
		return "", fmt.Errorf("%w: not one Sec-WebSocket-Key of 16 bytes", answer.ErrInvalidRequest)
	case header.One(h, headerWebSocketVersion) != webSocketVersion:
		return "", &answer.StatusError{Status: http.StatusUpgradeRequired, Detail: "a WebSocket version other than 13", Fields: map[string]string{
			headerWebSocketVersion: webSocketVersion, "Upgrade": webSocketProtocol, "Connection": upgradeToken,
		}}
	}
	return key, nil
}

func validWebSocketKey(key string) bool {
	nonce, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(nonce) == 16
}

// openWebSocket forwards the handshake. When the service accepts, both connections become one tunnel; any other answer
// of the service is returned.
func (f *forwarder) openWebSocket(ex *Exchange) error {
	key, err := checkHandshake(ex)
	if err != nil {
		return err
	}
	if err := f.admission.acquireForClient(ex, limit.WebSockets); err != nil {
		return err
	}
	req := &ex.outbound
	if err := buildRequest(ex, req); err != nil {
		return err
	}
	req.Fields.Add("Connection", "Upgrade")
	req.Fields.Add("Upgrade", webSocketProtocol)
	f.watcher.watch(ex)
	service, exchanged, err := ex.route.upstream.Upgrade(ex.waiting, req, &ex.response, userKey(ex))
	ex.recordResult(exchanged)
	if err != nil {
		return err
	}
	relocate(ex)
	switch {
	case service == nil:
		holdWhileStreaming(ex)
		return nil
	case !acceptsHandshake(&ex.response, key):
		_ = service.Close()
		return fmt.Errorf("%w: a 101 with the wrong Sec-WebSocket-Accept", http1.ErrInvalid)
	}
	selectSubprotocol(ex)
	f.startTunnel(ex, service)
	return nil
}

// acceptsHandshake reports whether the service processed the handshake (RFC 6455 §4.2.2): its 101 alone could be an
// accident.
func acceptsHandshake(resp *message.Response, key string) bool {
	sum := sha1.Sum([]byte(key + webSocketGUID))
	var accept []byte
	for value := range resp.Fields.Values(headerWebSocketAccept) {
		accept = append(accept, value...) // two of them match nothing
	}
	return string(accept) == base64.StdEncoding.EncodeToString(sum[:])
}

// abortTunnel ends a tunnel that was to begin after the answer.
func (ex *Exchange) abortTunnel() {
	if ex.tunnel != nil {
		ex.tunnel.Abort()
		ex.tunnel = nil
	}
}

// startTunnel answers 101 and leaves the connection to a tunnel. From here on it carries no HTTP, and neither body
// limits nor request timeouts apply.
func (f *forwarder) startTunnel(ex *Exchange, service *http1.Tunnel) {
	ex.response.Upgrade = webSocketProtocol
	ex.tunnel = websocket.NewTunnel(ex.whole, service, f.admission.aliveLater(ex), ex.hold.Move(limit.WebSockets))
	f.sockets.Add(ex.route.pattern, ex.tunnel)
}
