package input_test

import (
	"testing"

	"wxgate/input"
)

func TestAHostIsAnAddressOrAName(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"127.0.0.1", "::1", "fe80::1%eth0", "localhost", "recipes", "recipe_service", "a-b.example.com", "example.com.", "xn--fiqs8s", "10.example", "3com",
	} {
		if !input.IsHost(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range []string{
		"", ".", "127.0.0.256", "1.2.3", "127.0.0.01", "10", "a..b", "127.0.0.1：3000", "127。0。0。1", "中国", "a b", "a,b", "a/b", "*.example.com", "example.123",
	} {
		if input.IsHost(host) {
			t.Errorf("%q is taken", host)
		}
	}
}
