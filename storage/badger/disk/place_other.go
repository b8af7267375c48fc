//go:build !linux

package disk

// placeOf does not know: a copy of the folder is not told from the folder.
func placeOf(string) (place string, known bool) { return "", false }

// Ephemeral does not know.
func Ephemeral(string) string { return "" }
