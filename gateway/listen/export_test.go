package listen

// Asked reports whether the placeholder was read.
func (c *Conn) Asked() bool { return c.asked }

// Bearable is the cap that a Listener makes of Config.MaxConns.
func Bearable(want int) int { return bearable(want) }

// Subscriber is what the cap per client counts by.
var Subscriber = subscriberOf

// ProxyHeader reads a PROXY protocol header.
var ProxyHeader = proxyHeader
