package cli

import (
	"errors"
	"strconv"
	"strings"
)

// suggest is an error with those names that may have been meant.
func suggest(text, typed string, names []string) error {
	var near []string
	for _, name := range names {
		if strings.HasPrefix(name, typed) || distance(name, typed) <= 2 {
			near = append(near, strconv.Quote(name))
		}
	}
	switch len(near) {
	case 0:
		return errors.New(text)
	case 1:
		return errors.New(text + ", did you mean " + near[0] + "?")
	}
	return errors.New(text + ", did you mean one of " + strings.Join(near, ", ") + "?")
}

// distance is how many characters have to be inserted, deleted or changed to make one text of another (Levenshtein).
func distance(from, to string) int {
	target := []rune(to)
	row := make([]int, len(target)+1) // from nothing to each beginning of to
	for j := range row {
		row[j] = j
	}
	for _, a := range from {
		diagonal := row[0]
		row[0]++
		for j, b := range target {
			changed := diagonal
			if a != b {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, changed)
		}
	}
	return row[len(target)]
}
