package admin

import (
	"runtime"
	"testing"
)

// TestImportsAddProcessorsOnce and the last of them takes them away. It is not parallel: there is one number in a process.
func TestImportsAddProcessorsOnce(t *testing.T) {
	usual := runtime.GOMAXPROCS(0)
	var p processors
	first, second := p.enter(), p.enter()
	if got := runtime.GOMAXPROCS(0); got != usual+moreProcessors {
		t.Errorf("during two imports there are %d processors, want %d", got, usual+moreProcessors)
	}
	first()
	if got := runtime.GOMAXPROCS(0); got != usual+moreProcessors {
		t.Errorf("during one import there are %d processors, want %d", got, usual+moreProcessors)
	}
	second()
	if got := runtime.GOMAXPROCS(0); got != usual {
		t.Errorf("after the imports there are %d processors, want %d", got, usual)
	}
}
