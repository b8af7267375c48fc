//go:build race

package token

// raceDetector reports whether the race detector is on: it is slow, and pools forget what they hold at random.
const raceDetector = true
