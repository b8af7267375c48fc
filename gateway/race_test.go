//go:build race

package gateway

// raceDetector reports whether times mean little.
const raceDetector = true
