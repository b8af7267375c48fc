//go:build !race

package gateway

// raceDetector says whether times mean little.
const raceDetector = false
