package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// What a newcomer holds in the head.
const (
	maxFiles       = 30 // of a package
	maxMethodFiles = 6  // in which the methods of a type stand
	maxMethods     = 6  // of an interface; an embedded one counts as one
)

const framework = "github.com/gofiber/fiber/v2"

// judge returns the rules that do not hold, in sentences. Test kits are judged by what they import alone.
func judge(rooms []*room) (faults []string) {
	over := func(what string, n, most int, question string) {
		if n > most {
			faults = append(faults, fmt.Sprintf("%s: %d, want at most %d: %s", what, n, most, question))
		}
	}
	for _, r := range rooms {
		over(r.folder+" imports the web framework in files", len(r.outsideAdapters()), 0, "it is for the adapter and the API's handlers")
		if isKit(r.folder) {
			continue
		}
		over(r.folder+" has files", len(r.files), maxFiles, "which subject of it can stand alone?")
		for name, t := range r.types {
			over(r.folder+"."+name+" has methods in files", len(t.files), maxMethodFiles, "which of them are a type of their own?")
		}
		for name, n := range r.interfaces {
			over(r.folder+"."+name+" has methods", n, maxMethods, "declare what is called where it is called")
		}
	}
	slices.Sort(faults)
	return faults
}

// outsideAdapters are the files that import the web framework and are none of adapters.
func (r *room) outsideAdapters() (files []string) {
	for imported, by := range r.imports {
		if imported != framework && !strings.HasPrefix(imported, framework+"/") {
			continue
		}
		for _, file := range by {
			if !slices.Contains(adapters(), path.Join(r.folder, file)) && !slices.Contains(adapters(), r.folder) && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files
}

// isKit reports whether a package is for tests only.
func isKit(folder string) bool { return strings.HasSuffix(folder, "test") }

// adapters are the files and packages that may import the web framework.
func adapters() []string { return []string{"gateway/fiber", "gateway/api"} }
