package backup

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wxgate/storage"
)

// records is a source of these.
type records []storage.Record

// Snapshot yields them.
func (s records) Snapshot(_ context.Context, each func(storage.Record) error) error {
	for _, r := range s {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// small is a backup of a few blocks, and what is in it.
func small(t testing.TB) ([]byte, records) {
	t.Helper()
	header, err := storage.NewRecord(storage.KindHeader, storage.Header{StoreID: "store", Users: 3})
	if err != nil {
		t.Fatal(err)
	}
	all := records{header}
	for i := range 40 {
		all = append(all, storage.Record{Kind: storage.KindSecret, Name: fmt.Sprint("k", i), Data: bytes.Repeat([]byte{byte(i)}, 20_000)})
	}
	var file bytes.Buffer
	if _, err := Write(t.Context(), &file, all); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), all
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	file, all := small(t)
	var got records
	done, err := Read(bytes.NewReader(file), func(r storage.Record) error {
		r.Data = bytes.Clone(r.Data)
		got = append(got, r)
		return nil
	})
	must(t, err)
	want(t, "the same records", slices.EqualFunc(got, all, func(a, b storage.Record) bool {
		return a.Kind == b.Kind && a.Name == b.Name && bytes.Equal(a.Data, b.Data)
	}), true)
	want(t, "secrets", done.Counts["secrets"], 40)
	want(t, "id", done.StoreID, "store")
}

func TestAChangedOrCutOffBackupIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	file, _ := small(t)
	for _, at := range []int{0, len(magic), len(magic) + 2, len(magic) + 7, len(magic) + headSize + 1, len(file) / 2, len(file) - 1} {
		changed := bytes.Clone(file)
		changed[at] ^= 0x40
		if _, err := Read(bytes.NewReader(changed), nil); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("byte %d of %d was changed: got %v, want ErrDamaged", at, len(file), err)
		}
		if _, err := Read(bytes.NewReader(file[:at]), nil); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("cut off at byte %d: got %v, want ErrDamaged", at, err)
		}
	}
	_, err := Read(io.MultiReader(bytes.NewReader(file), strings.NewReader("x")), nil)
	if !errors.Is(err, storage.ErrDamaged) || !strings.Contains(err.Error(), "behind its end") {
		t.Errorf("something behind its end: got %v", err)
	}
	second := len(magic) + headSize + int(file[len(magic)+3])<<8 + int(file[len(magic)+4])
	_, err = Read(bytes.NewReader(slices.Concat(file[:len(magic)], file[second:])), nil)
	if !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("a block is left out: got %v", err)
	}
}

// keyed is the source of small with secrets that are sealed with a key, and that key.
func keyed(t *testing.T, others ...string) (records, []byte) {
	t.Helper()
	key := bytes.Repeat([]byte{7}, storage.EncryptionKeySize)
	sealer, err := storage.NewSealer(key)
	must(t, err)
	header, err := storage.NewRecord(storage.KindHeader, storage.Header{StoreID: "store", KeyChecks: append(storage.KeyChecks(sealer.Checks()), others...)})
	must(t, err)
	_, all := small(t)
	return append(records{header}, all[1:]...), key
}

func TestAKeyStandsInFrontOfABackupThatIsAskedToHaveIt(t *testing.T) {
	t.Parallel()
	from, key := keyed(t)
	other := bytes.Repeat([]byte{8}, storage.EncryptionKeySize)
	var file bytes.Buffer
	_, err := WriteWithKey(t.Context(), &file, from, [][]byte{other, key})
	must(t, err)
	encoded := base64.StdEncoding.EncodeToString(key)
	want(t, "the key is to be seen at once", strings.Contains(file.String()[:200], encoded), true)
	want(t, "how often the other key is in it", strings.Count(file.String(), base64.StdEncoding.EncodeToString(other)), 0)
	done, err := Read(bytes.NewReader(file.Bytes()), nil)
	must(t, err)
	want(t, "key", done.Key.Reveal(), encoded)
	want(t, "what is printed of it", strings.Contains(fmt.Sprintf("%+v", done), encoded), false)

	changed := bytes.Clone(file.Bytes())
	changed[bytes.Index(changed, []byte(encoded))] ^= 1
	_, err = Read(bytes.NewReader(changed), nil)
	wantErr(t, "a key that was changed", err, storage.ErrDamaged)
	content := []byte(`{"encryption_key":"` + base64.StdEncoding.EncodeToString(other) + `"}`)
	h := head(blockKey, content)
	end := len(magic) + headSize + len(content)
	_, err = Read(bytes.NewReader(slices.Concat([]byte(magic), h[:], content, file.Bytes()[end:])), nil)
	wantErr(t, "the key of another data set", err, storage.ErrDamaged)
	block := file.Bytes()[len(magic):end]
	_, err = Read(bytes.NewReader(slices.Concat([]byte(magic), block, block, file.Bytes()[end:])), nil)
	wantErr(t, "two keys", err, storage.ErrDamaged)
}

func TestAKeyThatDoesNotOpenAllSecretsIsNotWritten(t *testing.T) {
	t.Parallel()
	from, key := keyed(t)
	var file bytes.Buffer
	_, err := WriteWithKey(t.Context(), &file, from, [][]byte{bytes.Repeat([]byte{8}, storage.EncryptionKeySize)})
	wantErr(t, "another key", err, storage.ErrWrongKey)
	from, _ = keyed(t, "0123456789abcdef")
	_, err = WriteWithKey(t.Context(), &file, from, [][]byte{key})
	if !errors.Is(err, storage.ErrWrongKey) || !strings.Contains(err.Error(), "wxgate store reseal") {
		t.Errorf("one of two keys: got %v", err)
	}
	want(t, "what was written", file.String(), magic+magic)
}

func TestABackupThatFailsLeavesNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := errors.New("full")
	err := WriteFile(filepath.Join(dir, "backup"), func(io.Writer) error { return full })
	if entries, _ := os.ReadDir(dir); !errors.Is(err, full) || len(entries) > 0 {
		t.Errorf("got %v and %v, want the error and no file", err, entries)
	}
}

func TestABackupFollowsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "b.wxbackup")
	must(t, os.WriteFile(victim, []byte("precious"), 0o600))
	must(t, os.Symlink(victim, path+".part"))
	must(t, WriteFile(path, func(w io.Writer) error {
		drafts, err := filepath.Glob(path + ".*.part")
		want(t, "drafts", len(drafts), 1)
		return errors.Join(err, writeAll(w, "users"))
	}))
	got, err := os.ReadFile(victim)
	must(t, err)
	want(t, "the file behind the link", string(got), "precious")
	info, err := os.Lstat(path)
	must(t, err)
	want(t, "mode", info.Mode(), 0o600)
}

func writeAll(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

func FuzzRead(f *testing.F) {
	file, _ := small(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte(magic))
	f.Add([]byte(magic + "B\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) { readOrRefused(t, file) })
}

// readOrRefused reads a file, which may be anything.
func readOrRefused(t *testing.T, file []byte) Summary {
	t.Helper()
	done, err := Read(bytes.NewReader(file), func(r storage.Record) error {
		if len(r.Data) > maxData || len(r.Name) > maxName {
			t.Errorf("got a record of %d and %d bytes", len(r.Name), len(r.Data))
		}
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrDamaged) && !errors.Is(err, storage.ErrNewerSchema) {
		t.Errorf("got %v, want ErrDamaged or ErrNewerSchema", err)
	}
	return done
}

// FuzzReadBlocks reads what is behind the checksums of blocks: a key, records, and what need not decompress. If all of it is
// read, the file is whole with an end that says so.
func FuzzReadBlocks(f *testing.F) {
	_, all := small(f)
	var records []byte
	for _, r := range all[:3] {
		records, _ = appendRecord(records, r)
	}
	zip, err := newWriter(io.Discard)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil), records, []byte(nil))
	f.Add([]byte(`{"encryption_key":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="}`), records, zip.zip.EncodeAll(records[len(records)/2:], nil))
	f.Fuzz(func(t *testing.T, key, records, raw []byte) {
		file := []byte(magic)
		add := func(kind byte, content []byte) {
			h := head(kind, content)
			file = append(append(file, h[:]...), content...)
		}
		if len(key) > 0 {
			add(blockKey, key)
		}
		add(blockOf, zip.zip.EncodeAll(records, nil))
		if len(raw) > 0 {
			add(blockOf, raw)
		}
		begin := len(file)
		add(blockEnd, []byte("{}"))
		done := readOrRefused(t, file)
		if done.SHA256 == "" {
			return
		}
		end, err := json.Marshal(done)
		must(t, err)
		file = file[:begin]
		add(blockEnd, end)
		_, err = Read(bytes.NewReader(file), nil)
		must(t, err)
	})
}
