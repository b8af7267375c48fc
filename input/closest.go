package input

import "strings"

// Closest finds the known word that is at most two typing errors away from name, or the one that begins with it, or with
// which it begins or ends. Upper case, - and _ do not count, so that bodyLimit and body-limit find body_limit.
func Closest(name string, known []string) (string, bool) {
	best, fewest := "", 3
	for _, candidate := range known {
		a, b := plain(name), plain(candidate)
		errors := distance(a, b)
		if errors < fewest && errors <= (len(b)-1)/2 { // two errors in "ip" would make any two letters a match, and cors of port
			best, fewest = candidate, errors
		}
	}
	if best == "" {
		best = overlapping(plain(name), known)
	}
	return best, best != ""
}

// overlapping finds the known word of which name, in at least three letters, is the beginning, or that is the beginning or
// the end of name: the one that has most of it, so that app_secret is secret and not apps.
func overlapping(name string, known []string) string {
	const fewest = 3
	best, most := "", fewest-1
	for _, candidate := range known {
		word := plain(candidate)
		common := min(len(name), len(word))
		switch {
		case !strings.HasPrefix(word, name) && !strings.HasPrefix(name, word) && !strings.HasSuffix(name, word):
		case common > most:
			best, most = candidate, common
		case common == most:
			best = "" // one of several
		}
	}
	return best
}

func plain(name string) string {
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
