// Package e2e holds the tests of the whole system: they build the binary once and drive it over real sockets, with the
// sandbox WeChat and the recipe service at its sides.
package e2e
