package process

import (
	"context"
	"log/slog"
	"net"
	"time"
)

// packetsEvery is how often a socket of UDP is tried that another process has.
const packetsEvery = 100 * time.Millisecond

// servePackets serves HTTP/3 on the port of the public listener, as soon as no other process has it: a predecessor has
// it while its last requests are answered. Without it the clients stay on TCP, so a failure is a warning.
func (s *Service) servePackets(ctx context.Context) {
	ticker := time.NewTicker(packetsEvery)
	defer ticker.Stop()
	for told := false; ; {
		socket, err := net.ListenPacket("udp", s.public.Addr().String())
		if err == nil {
			s.log.Info("serving HTTP/3", "listen", socket.LocalAddr().String(), pid())
			err = s.gateway.ServeHTTP3(socket, s.public)
		}
		if !inUse(err) {
			if err != nil {
				s.log.Warn("HTTP/3 is not served", "error", err)
			}
			return
		}
		if !told {
			level := slog.LevelWarn
			if s.inherited.public != nil {
				level = slog.LevelInfo // a predecessor has it
			}
			s.log.Log(ctx, level, "HTTP/3 waits until another process leaves its port", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
