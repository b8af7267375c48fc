// Command house measures the structure of this repository: for each package its files, functions, types and exported names.
// It fails when a package is no room that a newcomer can hold in the head; rules.go says when that is.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	write := flag.Bool("graph", false, "draw the picture of docs/architecture.md again")
	flag.Parse()
	os.Exit(run(os.Stdout, os.Stderr, ".", *write))
}

// run is main without the process: it returns the exit code, 1 for a rule that does not hold. It draws the picture of
// docs/architecture.md again if asked to.
func run(stdout, stderr io.Writer, root string, draw bool) int {
	rooms, err := measure(root)
	if err == nil {
		err = printRooms(stdout, rooms)
	}
	changed := false
	if err == nil {
		changed, err = redraw(root, rooms, draw)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "house: %v\n", err)
		return 1
	}
	faults := judge(rooms)
	if changed && !draw {
		faults = append(faults, picture+" shows other imports: run go run ./scripts/house -graph")
	}
	for _, fault := range faults {
		_, _ = fmt.Fprintf(stderr, "house: %s\n", fault)
	}
	return min(len(faults), 1)
}

// printRooms writes a line per package and one for all of them.
func printRooms(to io.Writer, rooms []*room) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "package\tfiles\tcode\tfunctions\tmedian\tp90\tmax\texported\ttest:code\tbiggest type\tmethods\tin files\t")
	whole := &room{folder: "all"}
	for _, r := range rooms {
		printRoom(table, r)
		whole.add(r)
	}
	printRoom(table, whole)
	return table.Flush()
}

func printRoom(to io.Writer, r *room) {
	name, methods, files := "-", 0, 0
	if t := r.biggest(); t != nil {
		name, methods, files = t.name, t.methods, len(t.files)
	}
	slices.Sort(r.functions)
	ratio := 0.0
	if r.code > 0 {
		ratio = float64(r.testCode) / float64(r.code)
	}
	_, _ = fmt.Fprintf(to, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\t%d\t%d\t\n", r.folder, len(r.files), r.code, len(r.functions),
		quantile(r.functions, 0.5), quantile(r.functions, 0.9), quantile(r.functions, 1), r.exported, ratio, name, methods, files)
}

// quantile is that of sorted numbers, 0 of none.
func quantile(sorted []int, q float64) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// biggest is the type with the most methods, of several the first by name.
func (r *room) biggest() *methodSet {
	var biggest *methodSet
	for _, t := range r.types {
		if biggest == nil || t.methods > biggest.methods || t.methods == biggest.methods && strings.Compare(t.name, biggest.name) < 0 {
			biggest = t
		}
	}
	return biggest
}
