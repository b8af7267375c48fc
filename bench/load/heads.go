package load

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// phone is what a mini-program sends with each request. X-User-Id is what it must not say.
const phone = "Host: api.example.com\r\nConnection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 " +
	"MicroMessenger/8.0.50(0x18003237) NetType/WIFI Language/zh_CN\r\n" +
	"Accept: */*\r\nAccept-Encoding: gzip,compress,br,deflate\r\nContent-Type: application/json\r\n" +
	"Referer: https://servicewechat.com/wx0123456789abcdef/12/page-frame.html\r\nX-User-Id: attacker\r\n"

// heads makes the heads of requests, in turn. A head is prefix (one per path), token, suffix; they are joined when they
// are sent, because a million tokens are worth a gigabyte of heads.
type heads struct {
	prefixes [][]byte
	tokens   [][]byte
	suffix   []byte
	next     int
}

func newHeads(cfg *Config) (*heads, error) {
	h := &heads{suffix: []byte("\r\n")}
	if cfg.Tokens != "" {
		text, err := os.ReadFile(cfg.Tokens)
		if err != nil {
			return nil, fmt.Errorf("reading tokens: %w", err)
		}
		h.tokens = bytes.Fields(text)
	}
	for _, path := range cfg.Paths {
		h.prefixes = append(h.prefixes, []byte(prefix(cfg, path, len(h.tokens) > 0)))
	}
	if len(h.tokens) > 0 {
		h.suffix = []byte("\r\n\r\n")
	}
	return h, nil
}

// prefix returns a head up to the token, or up to its last blank line if there is none.
func prefix(cfg *Config, path string, authorized bool) string {
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\n%s", cfg.Method, path, phone)
	if cfg.Cookie > 0 {
		fmt.Fprintf(&head, "Cookie: %s\r\n", strings.Repeat("c", cfg.Cookie))
	}
	if cfg.Content > 0 {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", cfg.Content)
	}
	if authorized {
		head.WriteString("Authorization: Bearer ")
	}
	return head.String()
}

// appendNext appends the next head to b.
func (h *heads) appendNext(b []byte) []byte {
	b = append(b, h.prefixes[h.next%len(h.prefixes)]...)
	if len(h.tokens) > 0 {
		b = append(b, h.tokens[h.next%len(h.tokens)]...)
	}
	h.next++
	return append(b, h.suffix...)
}
