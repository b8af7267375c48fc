package listen

// Asked reports whether the placeholder was read.
func (c *Conn) Asked() bool { return c.asked }

// Bearable is the cap that a Listener makes of Config.MaxConns.
func Bearable(want int) int { return bearable(want) }

// Subscriber is what the cap per client counts by.
var Subscriber = subscriberOf

// ProxyHeader reads a PROXY protocol header.
var ProxyHeader = proxyHeader

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
