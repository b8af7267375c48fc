package route

import (
	"bytes"
	"testing"
	"unicode"
)

func TestATargetWithTwoReadingsIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "x", "*", "/a/../b", "/..", "/a/..", "/../a", "/./a", "/a/.", "//a", "/a//b", "/a//", `/a\b`, `/a\..\b`,
		"/a/%2e%2e/b", "/a/%2E./b", "/a/.%2e/b", "/%2e/a", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%00b", "/a%0ab", "/a%7fb",
		"/a%", "/a%2", "/a%zz", "/a%%41", "/a/..;/b", "/a/..;x=1/b", "/a/.;/b", "/a;x/b", "/a%3bx/b", "/a;",
		"/a/%252e%252e/b", "/a%252fb", "/a%255cb", "/a%25252fb", "/x/%25%32%65%25%32%65/a", "/x%25%32%66a", "/a%2541",
		"/a/%c0%ae%c0%ae/b", "/a%c0%afb", "/a%c1%9cb", "/x/%e0%80%ae%e0%80%ae/a", "/x/%f0%80%80%ae/a", "/a%ff", "/a%e8%8f",
		"/a\x01b", "/a\x7fb", "http://host/a", "/.%20/a", "/a%20/b", "/%20a", "/...", "/a/....", "/. ./a%20",
		"/a%3fx", "/a%3F", "/a%23", "/a%23x/b",
		"/a%c2%a0", "/a%C2%85", "/a/%e3%80%80", "/a%e2%80%a8/b", "/a%ef%bb%bf", "/a%e2%80%8b", "/a%e1%a0%8e", "/a%c2%9fb",
	} {
		if got, ok := ParseRequestTarget([]byte(raw), nil); ok {
			t.Errorf("%q was taken as %q", raw, got.Path)
		}
	}
}

func TestATargetIsMatchedDecodedAndSentAsItCame(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct{ path, folded string }{
		"/":                           {"/", "/"},
		"/a/b?x=1":                    {"/a/b", "/a/b"},
		"/a/":                         {"/a/", "/a/"},
		"/%61dmin/X":                  {"/admin/X", "/admin/x"},
		"/API/v1":                     {"/API/v1", "/api/v1"},
		"/%e8%8f%9c?q=%2e%2e/..//":    {"/菜", "/菜"},
		"/a%7Eb%20c,v=1?!*'();":       {"/a~b c,v=1", "/a~b c,v=1"},
		"/file.v1..txt":               {"/file.v1..txt", "/file.v1..txt"},
		"/100%25":                     {"/100%", "/100%"},
		"/redirect?to=http://x/../..": {"/redirect", "/redirect"},
	} {
		got, ok := ParseRequestTarget([]byte(raw), nil)
		if !ok || string(got.Raw) != raw || string(got.Path) != want.path || string(got.Folded) != want.folded {
			t.Errorf("%q: got %q, %q, %q, %v; want %q", raw, got.Raw, got.Path, got.Folded, ok, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/", "/a/%2e%2e/b", "/a;b/..;/", "/%e8%8f%9c", "/%25%32%65", "/a%3fx", "/a%23", "/a%c2%a0", "/a%e3%80%80/b", "/菜谱 /"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := ParseRequestTarget(raw, nil)
		if !ok {
			return
		}
		if got.Raw[0] != '/' || got.Path[0] != '/' || !cleanPath(got.Path) {
			t.Errorf("%q: taken as %q, path %q", raw, got.Raw, got.Path)
		}
		if bytes.Count(got.Folded, []byte{'/'}) != bytes.Count(got.Path, []byte{'/'}) {
			t.Errorf("%q: matched as %q, which has other segments than %q", raw, got.Folded, got.Path)
		}
		if bytes.ContainsAny(got.Path, `?#;\`) || bytes.ContainsFunc(got.Path, unicode.IsControl) {
			t.Errorf("%q: matched as %q, which some reader ends or splits", raw, got.Path)
		}
		for segment := range bytes.SplitSeq(got.Path, []byte{'/'}) {
			if len(bytes.TrimFunc(segment, unicode.IsSpace)) != len(segment) {
				t.Errorf("%q: the segment %q has a blank at an end", raw, segment)
			}
		}
		if again, ok := percentDecode(got.Path, nil); !ok || string(again) != string(got.Path) {
			if ok {
				t.Errorf("%q: decoding %q again gives %q", raw, got.Path, again)
			}
		}
	})
}
