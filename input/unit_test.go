package input_test

import (
	"fmt"
	"strings"
	"testing"

	"wxgate/input"
)

func TestUnitsOfOthersAreToldInOurs(t *testing.T) {
	t.Parallel()
	for text, meant := range map[string]string{
		"30秒": "30s", "1分钟": "1m", "2小时": "2h", "7天": "7d", "500毫秒": "500ms", "2周": "14d", "1w": "7d", "30 min": "30m", "30sec": "30s",
		"30S": "30s", "1.5 hours": "1.5h", "7D": "7d",
		"1.5天": "", "半小时": "", "daily": "", "PT30S": "", "00:01:30": "", "9999999999小时": "",
	} {
		_, err := input.Duration(text)
		advised(t, text, err, meant)
	}
	for text, meant := range map[string]string{
		"4M": "4MiB", "4mb": "4MiB", "4 MB": "4MiB", "4兆": "4MiB", "64k": "64KiB", "1gib": "1GiB", "512字节": "512", "4T": "", "1.5MB": "", "-1": "",
	} {
		var size input.Size
		advised(t, text, size.UnmarshalText([]byte(text)), meant)
	}
}

// advised wants an error that ends with what was meant, if that can be told.
func advised(t *testing.T, text string, err error, meant string) {
	t.Helper()
	got := fmt.Sprint(err)
	if err == nil || strings.Contains(got, "did you mean") != (meant != "") || !strings.HasSuffix(got, input.DidYouMean(meant)) {
		t.Errorf("%q: got %s, want an error that advises %q", text, got, meant)
	}
}

func TestWhatIsMeantByARate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"60/min": "60 m", "60/分": "60 m", "60次/分钟": "60 m", "60每分钟": "60 m", "10 per second": "10 s", "100qps": "100 s", "60rpm": "60 m", "20/天": "20 d",
		"60r/m": "60 m", "1000/1h": "1000 h", "60": " ", "60/fortnight": " ", "-1/m": " ", "60m": " ",
	} {
		if count, unit := input.MeantRate(text); count+" "+unit != want {
			t.Errorf("%q: got %q and %q, want %q", text, count, unit, want)
		}
	}
}
