package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestAnArchiveHasTheSameBytesEachTime writes archives of files that differ in what a release must not depend on: when they
// were written, who may read them, and where they are.
func TestAnArchiveHasTheSameBytesEachTime(t *testing.T) {
	t.Parallel()
	r := &release{at: time.Unix(1_796_000_000, 0).UTC()}
	for name, pack := range map[string]func(io.Writer, []content) error{"tar.gz": r.tarball, "zip": r.zip} {
		var written [2]bytes.Buffer
		for i := range written {
			file := filepath.Join(t.TempDir(), "wxgate")
			if err := os.WriteFile(file, []byte("the same program"), []os.FileMode{0o600, 0o755}[i]); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, time.Time{}, time.Unix(int64(i)*1000, 0)); err != nil {
				t.Fatal(err)
			}
			if err := pack(&written[i], []content{{"wxgate_1/wxgate", file, 0o755}}); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(written[0].Bytes(), written[1].Bytes()) {
			t.Errorf("two archives as %s of the same content differ", name)
		}
	}
}

func TestTheProgramOfAnArchiveCanBeExecuted(t *testing.T) {
	t.Parallel()
	r := &release{at: time.Unix(1_796_000_000, 0).UTC()}
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []content{{"wxgate_1/wxgate", file, 0o755}}
	var tarball, zipped bytes.Buffer
	if err := r.tarball(&tarball, files); err != nil {
		t.Fatal(err)
	}
	compressed, err := gzip.NewReader(&tarball)
	if err != nil {
		t.Fatal(err)
	}
	header, err := tar.NewReader(compressed).Next()
	if err != nil || header.Name != "wxgate_1/wxgate" || header.FileInfo().Mode() != 0o755 || !header.ModTime.Equal(r.at) {
		t.Errorf("the tarball holds %+v, %v", header, err)
	}
	if err := r.zip(&zipped, files); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
	if err != nil || len(archive.File) != 1 || archive.File[0].Mode() != 0o755 || !archive.File[0].Modified.Equal(r.at) {
		t.Errorf("the zip file holds %+v, %v", archive, err)
	}
}
