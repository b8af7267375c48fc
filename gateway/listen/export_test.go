package listen

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"weak"

	"wxgate/gateway/limit"
)

// AcceptBatch and AcceptPause are how clients are accepted when many come at a time.
const (
	AcceptBatch = acceptBatch
	AcceptPause = acceptPause
)

// Bearable is the cap that a Listener makes of Config.MaxConns.
func Bearable(want int) int { return bearable(want) }

// Subscriber is what the cap per client counts by.
func Subscriber(peer net.Addr) (netip.Addr, bool) {
	client := limit.Subscriber(addressOf(peer))
	return client, client.IsValid()
}

// ProxyHeader reads a PROXY protocol header.
var ProxyHeader = parseProxyHeader

// BufferBytes is the length of the buffer that the connection has, 0 when it has none.
func (c *Conn) BufferBytes() int {
	if c.buf == nil {
		return 0
	}
	return len(c.buf.bytes)
}

// HeldBuffers returns a count of the buffers that somebody holds; those in the pool do not count. It must be called
// before the listener serves.
func (l *Listener) HeldBuffers() func() int {
	var mu sync.Mutex
	var made []func() (held bool)
	pool := &l.shared.buffers
	original := pool.New
	pool.New = func() any {
		b, _ := original().(*buffer)
		mu.Lock()
		defer mu.Unlock()
		whole, bytes, lines := weak.Make(b), weak.Make(&b.bytes[0]), weak.Make(&b.lines[0])
		made = append(made, func() bool { return whole.Value() != nil || bytes.Value() != nil || lines.Value() != nil })
		return b
	}
	return func() (held int) {
		runtime.GC() // the pool gives what it has to the collector
		runtime.GC()
		mu.Lock()
		defer mu.Unlock()
		for _, isHeld := range made {
			if isHeld() {
				held++
			}
		}
		return held
	}
}

// WithDefaults fills the zero fields, so that a test names the limits that it is about.
func (cfg Config) WithDefaults() Config {
	def := DefaultConfig()
	or(&cfg.MaxHeadBytes, def.MaxHeadBytes)
	or(&cfg.MaxFields, def.MaxFields)
	or(&cfg.ReadHeader, def.ReadHeader)
	or(&cfg.Idle, def.Idle)
	or(&cfg.BodyStall, def.BodyStall)
	or(&cfg.BodyGrace, def.BodyGrace)
	or(&cfg.BodyRate, def.BodyRate)
	or(&cfg.WriteStall, def.WriteStall)
	or(&cfg.WriteRate, def.WriteRate)
	or(&cfg.NextRequest, def.NextRequest)
	or(&cfg.Linger, def.Linger)
	or(&cfg.LingerBytes, def.LingerBytes)
	return cfg
}

func or[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}
