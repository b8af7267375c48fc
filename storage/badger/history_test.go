package badger

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"wxgate/storage/badger/disk"
	"wxgate/storage/storagetest"
)

// TestDataOfEachSchemaAreOpened needs an archive of each schema in testdata. To raise disk.Schema, first write one with the
// code that still has the old one, here and in the test of what it has: testdata/README.md.
func TestDataOfEachSchemaAreOpened(t *testing.T) {
	t.Parallel()
	for schema := 1; schema <= disk.Schema; schema++ {
		if _, err := os.Stat(historyArchive(schema)); err != nil {
			t.Errorf("there are no data of schema %d to test with: see testdata/README.md: %v", schema, err)
		}
	}
	for schema := 2; schema <= disk.Schema; schema++ { // schema 1 has tests of its own, and another history
		dir := unpack(t, fmt.Sprintf("schema-%d-closed", schema))
		if has, known, err := Schema(dir); err != nil || has != schema || known != disk.Schema {
			t.Errorf("the archive of schema %d has schema %d of %d, %v", schema, has, known, err)
		}
		s := openAt(t, dir, storagetest.HistoryEnd(), defaultTuning())
		storagetest.WantHistory(t, s.Store)
		must(t, s.Close())
	}
}

func historyArchive(schema int) string {
	return filepath.Join("testdata", fmt.Sprintf("schema-%d-closed.tgz", schema))
}

// TestWriteTheArchiveOfThisSchema writes it where WXGATE_HISTORY says.
func TestWriteTheArchiveOfThisSchema(t *testing.T) {
	path := os.Getenv("WXGATE_HISTORY")
	if path == "" {
		path = filepath.Join(t.TempDir(), "history.tgz") // so that it works when it is needed
	}
	dir := t.TempDir()
	s := openAt(t, dir, storagetest.HistoryEnd(), defaultTuning())
	storagetest.WriteHistory(t, s.Store)
	must(t, s.Close())
	file, err := os.Create(path)
	must(t, err)
	zipped, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	must(t, err)
	archive := tar.NewWriter(zipped)
	for _, name := range filesBelow(t, dir) {
		content, err := os.ReadFile(name)
		must(t, err)
		relative, err := filepath.Rel(dir, name)
		must(t, err)
		must(t, archive.WriteHeader(&tar.Header{Name: "data/" + filepath.ToSlash(relative), Mode: 0o600, Size: int64(len(content))}))
		_, err = archive.Write(content)
		must(t, err)
	}
	must(t, archive.Close())
	must(t, zipped.Close())
	must(t, file.Close())
}
