package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"wxgate/bench/contestants"
	"wxgate/bench/report"
)

// render makes the page of a benchmark.
func render(name string, r *report.Run) report.Page {
	switch name {
	case "peers":
		about := map[string]string{}
		for _, c := range contestants.All() {
			about[c.Name] = c.About
		}
		return report.Peers(r, about)
	case "growth":
		var list []report.Axis
		for _, a := range axes(netip.AddrPort{}) {
			list = append(list, a.Axis)
		}
		return report.Growth(r, list)
	default:
		return report.Logins(r)
	}
}

// publish keeps the samples, also those of a run that was cut short, prints the page, and puts it into the manual if
// asked to.
func publish(s *settings, run report.Run, name string) error {
	file := s.file
	if s.docs != "" {
		file = samplesFile(s.docs, name)
	}
	all, err := report.Read(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	all.Replace(run)
	if err := all.Write(file); err != nil {
		return err
	}
	page := render(name, &all)
	_, _ = fmt.Fprintln(s.stdout, page.Markdown)
	if s.docs == "" {
		return nil
	}
	return page.Publish(s.docs, "bench-"+name)
}

// samplesFile is where the manual keeps the samples of a benchmark.
func samplesFile(docs, name string) string { return filepath.Join(docs, "bench", name+".json") }

// pages renders the manual from the samples that it has.
func pages(s *settings) error {
	if s.docs == "" {
		return errors.New("pages: want -docs FOLDER")
	}
	for _, name := range []string{"peers", "growth", "logins"} {
		all, err := report.Read(samplesFile(s.docs, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		page := render(name, &all)
		if err := page.Publish(s.docs, "bench-"+name); err != nil {
			return err
		}
	}
	return nil
}
