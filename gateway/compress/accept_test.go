package compress

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAClientGetsTheCodingThatItWantsMost(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"":                                 "identity",
		"gzip, deflate, br, zstd":          "zstd", // Chromium
		"gzip, deflate, br":                "br",   // Safari, and WeChat on a phone
		"gzip,compress,br,deflate":         "br",   // WeChat's DevTools
		"gzip":                             "gzip",
		"x-gzip":                           "gzip",
		"GZIP":                             "gzip",
		"deflate":                          "identity",
		"*":                                "zstd",
		"*;q=0.1, gzip":                    "gzip",
		"*, zstd;q=0":                      "br",
		"zstd;q=0, br;q=0, gzip;q=0":       "identity",
		"gzip;q=0.5, br;q=0.501":           "br",
		"br;q=1.0, gzip;q=1, zstd;q=0.999": "br",
		"gzip ; q=0.3 , br ;Q=0.2":         "gzip",
		"identity, gzip;q=0.5":             "identity",
		"identity;q=0.5, gzip;q=0.5":       "gzip",
		"identity;q=0, *;q=0":              "identity", // there is nothing else to give
		"identity;q=0.5, *;q=0.4":          "identity",
		"gzip;q=2":                         "identity",
		"gzip;q=0.1234":                    "identity",
		"gzip;q=":                          "identity",
		"gzip;level=9":                     "identity",
		"gzip;q=0.5;x=y":                   "identity",
		"gzip;q=1.001":                     "identity",
		",, gzip ,":                        "gzip",
		"gzip;q=0, gzip;q=1":               "gzip",
		"gzipped, brotli, zstandard":       "identity",
	} {
		if got := preferred(wants(accept)).String(); got != want {
			t.Errorf("%q: got %s, want %s", accept, got, want)
		}
	}
	if got := preferred(wants("gzip", "br;q=0.9", "zstd;q=0")).String(); got != "gzip" {
		t.Errorf("of three lines: got %s, want gzip", got)
	}
}

// reference reads Accept-Encoding as RFC 9110 §12.5.3 has it, the slow way.
func reference(accept string) string {
	element := regexp.MustCompile(`^[ \t]*([^;]*?)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$`)
	weights := map[string]float64{}
	for each := range strings.SplitSeq(accept, ",") {
		m := element.FindStringSubmatch(each)
		if m == nil || m[1] == "" {
			continue
		}
		name, weight := strings.ToLower(m[1]), 1.0
		if name == "x-gzip" {
			name = "gzip"
		}
		if m[2] != "" {
			weight, _ = strconv.ParseFloat(m[2], 64)
		}
		if before, twice := weights[name]; !twice || weight > before {
			weights[name] = weight
		}
	}
	weightOf := func(name string) float64 {
		if w, listed := weights[name]; listed {
			return w
		}
		return weights["*"]
	}
	order := []string{"zstd", "br", "gzip"}
	best := slices.MaxFunc(order, func(a, b string) int {
		switch {
		case weightOf(a) > weightOf(b):
			return 1
		case weightOf(a) < weightOf(b):
			return -1
		}
		return 0
	})
	if weightOf(best) == 0 || weightOf(best) < weights["identity"] {
		return "identity"
	}
	return best
}

func TestAcceptEncodingIsReadAsTheReferenceReadsIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		elements := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			name := rapid.SampledFrom([]string{"gzip", "x-gzip", "br", "zstd", "identity", "*", "deflate", "", "GZip", "compress"}).Draw(t, "name")
			weight := rapid.SampledFrom([]string{"", "", ";q=0", ";q=1", ";q=0.5", "; q=0.50", ";q=0.501", " ;Q=1.000", ";q=1.1", ";q=.5", ";x=1", ";", ";q=0.", ";q=0.0005", ";q=00"}).Draw(t, "weight")
			return rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "space") + name + weight
		}), 0, 6).Draw(t, "elements")
		accept := strings.Join(elements, ",")
		if got, want := preferred(wants(accept)).String(), reference(accept); got != want {
			t.Fatalf("%q: got %s, want %s", accept, got, want)
		}
	})
}

// FuzzAcceptEncoding compares what outsiders write with the reference.
func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br, zstd", "*;q=0.1, gzip;q=0", "identity;q=1, br;q=0.9", ";q=1,,", "gzip;q=1;q=0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if strings.ContainsAny(accept, "\r\n") {
			return // no field value has one
		}
		for i := range len(accept) {
			if accept[i] >= 0x80 {
				return // names that are not ASCII are none of ours, in whatever case
			}
		}
		if got, want := preferred(wants(accept)).String(), reference(accept); got != want {
			t.Errorf("%q: got %s, want %s", accept, got, want)
		}
	})
}

func BenchmarkPreferred(b *testing.B) {
	req := wants("gzip, deflate, br, zstd")
	b.ReportAllocs()
	for b.Loop() {
		preferred(req)
	}
}
