package input

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// socketScheme begins an address that is a Unix socket.
const socketScheme = "unix:"

// maxSocketPath is the longest path of a Unix socket, in bytes: sun_path of Linux has 108, that of macOS and the BSDs 104, with
// a zero at the end (unix(7)).
const maxSocketPath = 103

// Socket returns the path of an address that is a Unix socket, unix:/run/recipes.sock; is reports whether it is one. An error
// says what is wrong with it, and is followed by nothing that is to be used.
func Socket(address string) (path string, is bool, err error) {
	path, is = strings.CutPrefix(address, socketScheme)
	switch {
	case !is:
		return "", false, nil
	case !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		err = errors.New("a Unix socket is named by its whole path, as in unix:/run/recipes.sock")
	case len(path) > maxSocketPath:
		err = fmt.Errorf("the path of a Unix socket has %d bytes at most", maxSocketPath)
	case path != filepath.Clean(path) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		err = errors.New("this is not the path of a Unix socket")
	}
	return path, true, err
}

// IsLoopback reports whether only this machine can be at a host, an address or localhost.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// IsHost reports whether a host is an address, or a name that can be one of DNS or of a container. What ends in a number is
// an address or nothing (WHATWG URL): 127.0.0.256 is a typing error, and no name.
func IsHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	name := strings.TrimSuffix(host, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	return name != "" && strings.Trim(last, "0123456789") != "" && !slices.ContainsFunc(strings.Split(name, "."), notALabel)
}

func notALabel(label string) bool {
	return label == "" || strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
