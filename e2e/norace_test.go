//go:build !race

package e2e

// raceEnabled makes the binary under test a race-checked one too.
const raceEnabled = false
