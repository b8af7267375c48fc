package strictyaml

import (
	"fmt"
	"strings"
)

const knownKeysListed = 16 // more than that is a page, not a hint

// unknownKey says that name is not among the known keys, and which one was probably meant.
func unknownKey(name string, known []string) string {
	if advice, _ := strange(name); advice != "" {
		return "unknown key; " + advice
	}
	if meant, ok := closest(name, known); ok {
		return fmt.Sprintf("unknown key; did you mean %q?", meant)
	}
	if len(known) <= knownKeysListed {
		return "unknown key; the keys here are " + strings.Join(known, ", ")
	}
	return "unknown key"
}

// closest finds the known key that is at most two typing errors away from name. Upper case, - and _ do not count, so
// that bodyLimit and body-limit find body_limit.
func closest(name string, known []string) (string, bool) {
	best, fewest := "", 3
	for _, candidate := range known {
		a, b := plainKey(name), plainKey(candidate)
		errors := distance(a, b)
		if errors < fewest && errors < len(b)-1 { // two errors in "ip" would make any two letters a match
			best, fewest = candidate, errors
		}
	}
	return best, best != ""
}

func plainKey(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

// distance is the Levenshtein distance: how many bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
