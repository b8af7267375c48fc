package gateway

import "testing"

func TestATargetWithTwoReadingsIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "x", "*", "/a/../b", "/..", "/a/..", "/../a", "/./a", "/a/.", "//a", "/a//b", "/a//", `/a\b`, `/a\..\b`,
		"/a/%2e%2e/b", "/a/%2E./b", "/a/.%2e/b", "/%2e/a", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%00b", "/a%0ab", "/a%7fb",
		"/a%", "/a%2", "/a%zz", "/a%%41", "/a/..;/b", "/a/..;x=1/b", "/a/.;/b", "/a/%252e%252e/b", "/a%252fb", "/a%255cb",
		"/a%25252fb", "/a/%c0%ae%c0%ae/b", "/a%c0%afb", "/a%c1%9cb", "/a\x01b", "/a\x7fb", "http://host/a",
	} {
		if got, ok := parseTarget([]byte(raw), nil); ok {
			t.Errorf("%q was taken as %q", raw, got.path)
		}
	}
}

func TestATargetIsMatchedDecodedAndSentAsItCame(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]target{
		"/":                           {[]byte("/"), []byte("/")},
		"/a/b?x=1":                    {[]byte("/a/b?x=1"), []byte("/a/b")},
		"/a/":                         {[]byte("/a/"), []byte("/a/")},
		"/%61dmin/x":                  {[]byte("/%61dmin/x"), []byte("/admin/x")},
		"/%e8%8f%9c?q=%2e%2e/..//":    {[]byte("/%e8%8f%9c?q=%2e%2e/..//"), []byte("/菜")},
		"/a%7Eb%20c;v=1?!*'()":        {[]byte("/a%7Eb%20c;v=1?!*'()"), []byte("/a~b c;v=1")},
		"/...":                        {[]byte("/..."), []byte("/...")},
		"/a%25b":                      {[]byte("/a%25b"), []byte("/a%b")},
		"/redirect?to=http://x/../..": {[]byte("/redirect?to=http://x/../.."), []byte("/redirect")},
	} {
		got, ok := parseTarget([]byte(raw), nil)
		if !ok || string(got.raw) != string(want.raw) || string(got.path) != string(want.path) {
			t.Errorf("%q: got %q, %q, %v; want %q, %q", raw, got.raw, got.path, ok, want.raw, want.path)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/", "/a/%2e%2e/b", "/a;b/..;/", "/%e8%8f%9c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := parseTarget(raw, nil)
		if !ok {
			return
		}
		if got.raw[0] != '/' || got.path[0] != '/' || !cleanPath(got.path) {
			t.Errorf("%q: taken as %q, path %q", raw, got.raw, got.path)
		}
	})
}
