package wire

// Reason says why a request was refused. The set is closed: it serves as a metric label, in logs and in tests.
type Reason string

// The reasons. The section is the rule of RFC 9112 (HTTP/1.1) unless it names RFC 9110 (HTTP semantics).
const (
	reasonControl      Reason = "control byte"            // §2.2, RFC 9110 §5.5: NUL, DEL or another control byte
	reasonTLS          Reason = "tls on a plain listener" // RFC 8446 §5.1: a handshake where HTTP should begin
	reasonBareLF       Reason = "bare lf"                 // §2.2: a line ended by LF alone
	reasonBareCR       Reason = "bare cr"                 // §2.2: a CR that no LF follows
	reasonEmptyLines   Reason = "empty lines"             // §2.2: more than one empty line before the request line
	reasonRequestLine  Reason = "bad request line"        // §3: not method SP target SP version
	reasonMethod       Reason = "bad method"              // §3.1: not a token
	reasonMethodSize   Reason = "method too long"         // §3: longer than any that there is
	reasonTargetSize   Reason = "target too long"         // §3: no head has room for it
	reasonConnect      Reason = "connect"                 // RFC 9110 §9.3.6: this is not a tunnel
	reasonTrace        Reason = "trace"                   // RFC 9110 §9.3.8: it would echo credentials
	reasonVersion      Reason = "bad http version"        // §2.3: not HTTP/1.0 or HTTP/1.1
	reasonOtherVersion Reason = "other http version"      // RFC 9110 §15.6.6: well formed, but another major version
	reasonTargetForm   Reason = "bad target form"         // §3.2: not the form that the method asks for
	reasonTargetByte   Reason = "bad target byte"         // §3.2: a byte that no path or query may hold
	reasonTargetHost   Reason = "target is not host"      // §3.2.2: an absolute target that disagrees with Host
	reasonNoHost       Reason = "no host"                 // §3.2: an HTTP/1.1 request without Host
	reasonTwoHosts     Reason = "two hosts"               // §3.2
	reasonHost         Reason = "bad host"                // §3.2: not uri-host [":" port]
	reasonFold         Reason = "folded line"             // §5.2, §2.2: a line that begins with white space
	reasonColonSpace   Reason = "space before colon"      // §5.1
	reasonFieldName    Reason = "bad field name"          // §5, RFC 9110 §5.1: empty, or not a token
	reasonNoColon      Reason = "no colon"                // §5: a field line without a colon
	reasonLength       Reason = "bad content-length"      // §6.2, §6.3: not one decimal number below 2^63
	reasonTwoLengths   Reason = "two content-length"      // §6.3
	reasonCoding       Reason = "bad transfer-encoding"
	reasonTwoCodings   Reason = "two transfer-encoding"
	reasonOldCoding    Reason = "transfer-encoding in http/1.0" // §6.1
	reasonBothLengths  Reason = "content-length and transfer-encoding"
	reasonHeadSize     Reason = "head too large"      // §3, RFC 6585 §5
	reasonFieldCount   Reason = "too many fields"     // RFC 6585 §5
	reasonChunkSize    Reason = "bad chunk size"      // §7.1: not 1 to 15 hexadecimal digits
	reasonChunkExt     Reason = "bad chunk extension" // §7.1.1
	reasonChunkLine    Reason = "chunk line too long"
	reasonChunkWaste   Reason = "too much chunk overhead"      // §7.1.1: a flood of extensions or tiny chunks
	reasonChunkEnd     Reason = "bad chunk end"                // §7.1: chunk data that CRLF does not end
	reasonTrailer      Reason = "forbidden trailer"            // RFC 9110 §6.5.1: a field that only a head may hold
	ReasonConnField    Reason = "connection field on a stream" // RFC 9113 §8.2.2
	ReasonStreamByte   Reason = "bad byte on a stream"         // RFC 9113 §8.2.1: what would end a line in HTTP/1.1
	ReasonProxy        Reason = "bad proxy header"             // where a proxy that is to name its client does not
	ReasonSlowHead     Reason = "slow head"                    // RFC 9110 §15.5.9
	ReasonSlowBody     Reason = "slow body"                    // RFC 9110 §15.5.9
	ReasonTooMany      Reason = "too many connections"         // RFC 9110 §15.6.4: answered here, no server sees it
)

// MalformedError is the verdict on a request that is not passed on. It stays the answer of every later Read. It is no
// net.Error on purpose: fiber takes those for a failure of an upstream and answers 502.
type MalformedError struct {
	Reason Reason
}

// Error returns the reason; no byte of the request is in it.
func (e *MalformedError) Error() string { return "refused request: " + string(e.Reason) }

// Status is the status code to answer with: 400, or 405, 408, 414, 431, 501, 503 or 505 where HTTP has a word for it.
// RFC 9112 §6.1 suggests 501 for an unknown transfer coding; that is 400 here, like all other framing that could be
// read in two ways.
func (e *MalformedError) Status() int {
	switch e.Reason {
	case reasonConnect, reasonTrace:
		return 405
	case ReasonSlowHead, ReasonSlowBody:
		return 408
	case reasonTargetSize:
		return 414
	case reasonHeadSize, reasonFieldCount:
		return 431
	case reasonMethodSize:
		return 501
	case ReasonTooMany:
		return 503
	case reasonOtherVersion:
		return 505
	}
	return 400
}
