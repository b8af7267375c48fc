package badger

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// childEnv names what the test binary does instead of testing when it runs as a child of a test.
const childEnv = "WXGATE_TEST_CHILD"

func children() map[string]func() {
	return map[string]func(){"logs-in": childLogsIn, "erases": childErases, "opens-damaged": childOpensDamaged}
}

// filesBelow lists the files in dir and its folders.
func filesBelow(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
