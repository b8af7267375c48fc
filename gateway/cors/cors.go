// Package cors is cross-origin resource sharing, by which a browser asks whether a page may call another host (WHATWG
// Fetch §3.2): the origins that may, and the fields of answers and preflights. It never answers * to a page that sends
// cookies, and a page that it does not know learns nothing.
package cors
