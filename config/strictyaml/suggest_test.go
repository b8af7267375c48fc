package strictyaml

import "testing"

func TestALongListOfKeysIsNotPrinted(t *testing.T) {
	t.Parallel()
	if got, want := unknownKey("q", make([]string, knownKeysListed+1), nil), "unknown key"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
