package http1_test

import (
	"errors"
	"testing"

	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

func TestACanaryTellsAServiceThatDoesNotReadContent(t *testing.T) {
	t.Parallel()
	closes := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 404 Not Found\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
	})
	for _, tc := range []struct {
		what, url string
		share     bool
		want      error
	}{
		{"one that does not read", upstreamtest.NewUndraining(t).URL, true, http1.ErrUndrained},
		{"one that does not read, told to close", upstreamtest.NewUndraining(t).URL, false, nil},
		{"one that reads", upstreamtest.Echo(t).URL, true, nil},
		{"one that closes", closes.URL, true, nil},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			origin, err := http1.ParseOrigin(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			if err := http1.Drains(t.Context(), origin, nil, tc.share); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}
