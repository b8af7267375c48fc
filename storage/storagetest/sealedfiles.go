package storagetest

import (
	"bytes"
	"slices"
	"testing"

	"wxgate/storage"
)

func sealedFiles() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a sealed file is read, replaced, listed and removed": sealedFileKept,
		"a sealed file that is too large is refused":          sealedFileBounds,
		"sealed files are sealed anew with the others":        sealedFilesResealed,
	}
}

func sealedFileKept(t *testing.T, f *fixture) {
	files := storage.NewSealedFiles(f.Store)
	_, err := files.Read(f.ctx, "a/b")
	f.wantErr("a file that was never written", err, storage.ErrNotFound)
	f.must(files.Remove(f.ctx, "a"))
	f.must(f.SaveServerToken(f.ctx, "wx1", "token", f.now())) // of the same kind of records
	for _, path := range []string{"a", "a/b", "a/b/c", "ab", "b/a"} {
		f.must(files.Write(f.ctx, path, []byte("text of "+path)))
	}
	f.must(files.Write(f.ctx, "a/b", []byte("another")))
	f.reopen()
	files = storage.NewSealedFiles(f.Store)
	found, err := files.Read(f.ctx, "a/b")
	f.must(err)
	want(t, "text", string(found.Text), "another")
	want(t, "path", found.Path, "a/b")
	if found.Modified.IsZero() {
		t.Error("it was never modified")
	}
	for path, listed := range map[string][]string{"": {"a", "a/b", "a/b/c", "ab", "b/a"}, "a": {"a", "a/b", "a/b/c"}, "a/b": {"a/b", "a/b/c"}, "c": nil} {
		paths, err := files.List(f.ctx, path)
		f.must(err)
		slices.Sort(paths)
		wantList(t, "files of "+path, paths, listed)
	}
	f.must(files.Remove(f.ctx, "a/b"))
	f.reopen()
	paths, err := storage.NewSealedFiles(f.Store).List(f.ctx, "")
	f.must(err)
	slices.Sort(paths)
	wantList(t, "files that are left", paths, []string{"a", "ab", "b/a"})
	_, err = storage.NewSealedFiles(f.Store).Read(f.ctx, "a/b/c")
	f.wantErr("a file that was removed", err, storage.ErrNotFound)
	token, _, err := f.ServerToken(f.ctx, "wx1")
	f.must(err)
	want(t, "the access_token", token, "token")
}

func sealedFileBounds(t *testing.T, f *fixture) {
	files := storage.NewSealedFiles(f.Store)
	f.must(files.Write(f.ctx, "a", bytes.Repeat([]byte{0xff}, 32<<10)))
	if err := files.Write(f.ctx, "a", make([]byte, 32<<10+1)); err == nil {
		t.Error("a file of more than 32 KiB: got no error")
	}
	found, err := files.Read(f.ctx, "a")
	f.must(err)
	want(t, "bytes of what stayed", len(found.Text), 32<<10)
}

func sealedFilesResealed(t *testing.T, f *fixture) {
	files := storage.NewSealedFiles(f.Store)
	for i := range 300 { // more than a page
		f.must(files.Write(f.ctx, numberedID("f", i), []byte("text")))
	}
	far := storage.Resealed{}
	for !far.Done {
		var err error
		far, err = f.Reseal(f.ctx)
		f.must(err)
	}
	want(t, "looked at", far.Seen, 300)
	want(t, "unreadable", far.Unreadable, 0)
	paths, err := files.List(f.ctx, "")
	f.must(err)
	want(t, "files", len(paths), 300)
}
