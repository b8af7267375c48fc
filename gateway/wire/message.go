package wire

// phase is the part of a message that the next byte belongs to.
type phase uint8

const (
	inHead phase = iota
	inBody
	inTrailers
)

// message judges one request after the other: head, body, trailers, next head.
type message struct {
	cfg     *Config
	phase   phase
	section section // of the head or the trailers
	left    int64   // of a body with Content-Length
	chunked chunked
	hasBody bool // of the current request; it stays after its end
	heads   uint64
}

// judge looks at b, all bytes that were not passed yet. pass is how many of them may pass: whole heads, good body bytes,
// never a byte beyond the end of the current message. b[pass:] must stand at the front of the next call.
func (m *message) judge(b []byte) (pass int, reason Reason) {
	for {
		n, ended, reason := m.part(b[pass:])
		pass += n
		if reason != "" || !ended || m.phase == inHead || pass == len(b) && m.phase == inBody {
			return pass, reason
		}
	}
}

// part judges the part that b begins with. ended means that the part is complete and m.phase is the next one.
func (m *message) part(b []byte) (n int, ended bool, reason Reason) {
	switch {
	case m.phase == inBody && m.head().chunked:
		n, ended, reason = m.chunked.pass(b)
		if ended {
			m.phase, m.section = inTrailers, section{trailers: true, head: m.section.head}
		}
	case m.phase == inBody:
		n = int(min(m.left, int64(len(b))))
		m.left -= int64(n)
		if ended = m.left == 0; ended {
			m.phase = inHead
			m.section = section{}
		}
	default:
		n, reason = m.section.judge(b, m.cfg)
		if ended = n > 0 && reason == ""; ended {
			m.endSection()
		} else {
			n = 0
		}
	}
	return n, ended, reason
}

// endSection moves on from a complete head or trailer section.
func (m *message) endSection() {
	if m.phase == inTrailers {
		m.phase, m.section = inHead, section{}
		return
	}
	m.heads++
	m.hasBody = m.head().chunked || m.head().length > 0
	if !m.hasBody {
		m.section = section{}
		return
	}
	m.phase, m.left, m.chunked = inBody, m.head().length, chunked{}
}

// awaitsBody reports whether the head of a request has come and nothing of its body, which has a length.
func (m *message) awaitsBody() bool {
	return m.phase == inBody && !m.head().chunked && m.left == m.head().length
}

func (m *message) head() *head { return &m.section.head }

// started reports whether the client has begun the request of which b is all that came so far.
func (m *message) started(b []byte) bool { return m.phase != inHead || m.section.started(b) }
