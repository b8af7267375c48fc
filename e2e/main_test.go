package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// quickEnd is a variable of the race detector, under which each process sleeps for a second at its end otherwise.
const quickEnd = "GORACE"

// binary is the wxgate under test, built once for the whole run.
var binary string

func TestMain(m *testing.M) {
	if address := os.Getenv(chaosTargetEnv); address != "" {
		os.Exit(serveChaosTarget(address, os.Getenv(chaosTargetEnv+"_LOG")))
	}
	if os.Getenv(oddServicesEnv) != "" {
		os.Exit(serveOddServices())
	}
	_ = os.Setenv(quickEnd, "atexit_sleep_ms=0")
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wxgate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "wxgate")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "wxgate")...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building wxgate:", err)
		return 1
	}
	return m.Run()
}
