package badger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// usedStore makes a store with one user and closes it.
func usedStore(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := openIn(t, dir)
	login(t, s, "oABC", "s1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantOpenError opens dir and checks that it is refused with want in one line that holds text.
func wantOpenError(t *testing.T, cfg storage.Config, want error, text string) {
	t.Helper()
	open := openFree
	if errors.Is(want, storage.ErrLocked) {
		open = Open
	}
	s, err := open(cfg, prometheus.NewRegistry(), quiet(), time.Now)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), text) || strings.Contains(fmt.Sprint(err), "\n") {
		t.Errorf("opening: got %v, want %v in one line with %q", err, want, text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecondProcessIsToldWhoHasTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openIn(t, dir)
	wantOpenError(t, configIn(dir), storage.ErrLocked, fmt.Sprintf("%s: storage is in use by another process (pid %d)",
		dir, os.Getpid()))
}

func TestLostFilesAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"badger":          "MANIFEST is missing",
		"badger/MANIFEST": "MANIFEST is missing",
		"STORE":           "STORE is missing",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := usedStore(t)
			must(t, os.RemoveAll(filepath.Join(dir, name)))
			for range 2 { // a refusal repairs nothing
				wantOpenError(t, configIn(dir), storage.ErrDamaged, text)
			}
		})
	}
}

func TestDatabaseOfAnotherStoreIsRefused(t *testing.T) {
	t.Parallel()
	one, other := usedStore(t), usedStore(t)
	must(t, os.RemoveAll(filepath.Join(one, dirBadger)))
	must(t, os.Rename(filepath.Join(other, dirBadger), filepath.Join(one, dirBadger)))
	wantOpenError(t, configIn(one), storage.ErrDamaged, "does not belong to")
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	path := filepath.Join(dir, fileSentinel)
	known, err := disk.ReadSentinel(path)
	must(t, err)
	known.Schema = disk.Schema + 1
	must(t, known.Write(path))
	wantOpenError(t, configIn(dir), storage.ErrNewerSchema, "has schema 3 and this wxgate knows up to 2")
}

func TestAnotherEncryptionKeyIsRefused(t *testing.T) {
	t.Parallel()
	cfg := configIn(usedStore(t))
	cfg.EncryptionKeys = storage.EncryptionKeys{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
	wantOpenError(t, cfg, storage.ErrWrongKey, "is not the one the data were sealed with")
}

// TestAMistypedKeyCanBeCorrectedUntilSomethingIsSealed, and so can a key file that was lost; from then on, another one is
// refused, and a look says so before a start.
func TestAMistypedKeyCanBeCorrectedUntilSomethingIsSealed(t *testing.T) {
	t.Parallel()
	cfg := configIn(t.TempDir())
	cfg.EncryptionKeys = storage.EncryptionKeys{firstKey}
	must(t, Inspect(cfg))
	must(t, openWith(t, cfg, secondKey).Close())
	must(t, openWith(t, cfg).Close())
	must(t, os.Remove(KeyFile(cfg.Badger)))
	must(t, Inspect(cfg))
	must(t, openWith(t, cfg).Close())
	s := openWith(t, cfg, firstKey)
	_, err := s.ImportUsers(t.Context(), []storage.User{{ID: 1, AppID: "wx1", OpenID: "oABC"}})
	must(t, err)
	must(t, s.Close())
	s = openWith(t, cfg, secondKey)
	login(t, s, "oABC", "s1")
	must(t, s.Close())
	if err := Inspect(cfg); !errors.Is(err, storage.ErrWrongKey) {
		t.Errorf("inspecting: got %v, want ErrWrongKey", err)
	}
	wantOpenError(t, cfg, storage.ErrWrongKey, "is not the one the data were sealed with")
	cfg.EncryptionKeys = storage.EncryptionKeys{firstKey, secondKey} // a mistyped one of two, which sealed nothing
	must(t, openWith(t, cfg, cfg.EncryptionKeys...).Close())
	must(t, openWith(t, cfg, secondKey).Close())
}

// TestAKeyIsNotedAgainAfterAnotherProcessHadTheFolder and sealed everything anew.
func TestAKeyIsNotedAgainAfterAnotherProcessHadTheFolder(t *testing.T) {
	t.Parallel()
	cfg := sealedStore(t, 1)
	s := openWith(t, cfg, firstKey)
	login(t, s, "oDEF", "s2")
	must(t, s.Release(t.Context()))
	other := openWith(t, cfg, secondKey, firstKey)
	resealAll(t, other)
	must(t, other.Close())
	must(t, s.Reacquire(t.Context()))
	login(t, s, "oGHI", "s3") // of others it opens nothing
	must(t, s.Close())
	cfg.EncryptionKeys = storage.EncryptionKeys{secondKey}
	wantOpenError(t, cfg, storage.ErrWrongKey, "secrets are sealed with 2 keys")
}

// TestALookFindsWhatAStartWouldRefuse, and changes nothing.
func TestALookFindsWhatAStartWouldRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  error
		text  string
	}{
		"a copy that was cut off": {func(t *testing.T, dir string) {
			s := openIn(t, dir)
			must(t, errors.Join(s.driver.SetID(t.Context(), "filling-store x"), s.Close()))
		}, storage.ErrIncomplete, "run the same `wxgate store copy` again"},
		"a restore of a file that was cut off": {func(t *testing.T, dir string) {
			s := openIn(t, dir)
			must(t, errors.Join(s.driver.SetID(t.Context(), "filling-backup x"), s.Close()))
		}, storage.ErrIncomplete, "run the same `wxgate restore` again"},
		"a restore of a folder that was cut off": {func(t *testing.T, dir string) {
			known, err := disk.ReadSentinel(filepath.Join(dir, fileSentinel))
			must(t, err)
			known.NextID = "next"
			must(t, known.Write(filepath.Join(dir, fileSentinel)))
		}, disk.ErrHalfRestored, "run `wxgate restore "},
		"a lost key":      {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, fileKey))) }, storage.ErrWrongKey, "storage.key is missing"},
		"a lost sentinel": {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, fileSentinel))) }, storage.ErrDamaged, "STORE is missing"},
		"nothing":         {func(*testing.T, string) {}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := usedStore(t)
			c.spoil(t, dir)
			before := fmt.Sprint(hashes(t, dir))
			if err := Inspect(configIn(dir)); !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.text)
			}
			if after := fmt.Sprint(hashes(t, dir)); after != before {
				t.Errorf("the folder changed: got %s, want %s", after, before)
			}
		})
	}
	must(t, Inspect(configIn(filepath.Join(t.TempDir(), "none"))))
}

func TestAKeyThatIsNotTheStoresIsNotBlamedOnTheData(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, path string)
		text  string
	}{
		"exchanged": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), 0o600))
		}, "storage.key) is not the one the data were sealed with"},
		"lost":   {func(t *testing.T, path string) { must(t, os.Remove(path)) }, "storage.key is missing and storage.encryption_key is empty"},
		"edited": {func(t *testing.T, path string) { must(t, os.Truncate(path, 20)) }, "storage.key: want 32 bytes in base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := usedStore(t)
			path := filepath.Join(dir, fileKey)
			old, err := os.ReadFile(path)
			must(t, err)
			c.spoil(t, path)
			for range 2 { // a refusal makes no new key
				wantOpenError(t, configIn(dir), storage.ErrWrongKey, c.text)
				_, err := openFree(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now)
				if text := fmt.Sprint(err); strings.Contains(text, "backup") || !strings.HasSuffix(text, "put the old key back") {
					t.Errorf("got %q, want the advice to put the old key back, and no word of a backup", text)
				}
			}
			must(t, os.WriteFile(path, old, 0o600))
			if u := login(t, openIn(t, dir), "oABC", "s2"); u.ID != 1 {
				t.Errorf("the old key put back: got user %d, want 1", u.ID)
			}
		})
	}
}

func TestAKeyFileThatOthersMayReadIsWarnedAbout(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	open := func() string {
		var lines bytes.Buffer
		s, err := openFree(configIn(dir), prometheus.NewRegistry(), textLog(&lines), time.Now)
		must(t, err)
		must(t, s.Close())
		return lines.String()
	}
	const warning = "others may read the encryption key"
	if got := open(); strings.Contains(got, warning) {
		t.Errorf("mode 0600: got %s, want no warning", got)
	}
	must(t, os.Chmod(filepath.Join(dir, fileKey), 0o644)) // that is the mistake
	if got := open(); !strings.Contains(got, warning) || !strings.Contains(got, "mode=0644") {
		t.Errorf("mode 0644: got %s, want a warning with the mode", got)
	}
}

func TestConfiguredEncryptionKeyMakesNoKeyFile(t *testing.T) {
	t.Parallel()
	cfg := configIn(t.TempDir())
	cfg.EncryptionKeys = storage.EncryptionKeys{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
	for range 2 {
		s, err := openFree(cfg, prometheus.NewRegistry(), quiet(), time.Now)
		must(t, err)
		login(t, s, "oABC", "s"+time.Now().String())
		must(t, s.Close())
	}
	if disk.Exists(filepath.Join(cfg.Badger.Dir, fileKey)) {
		t.Error("got a key file beside the data, want none")
	}
}

func TestFilesAreForUsAlone(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	for _, name := range []string{fileKey, fileSentinel, fileHighWater} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s: got %o, want 600", name, got)
		}
	}
}

func TestWhatIsNoFolderIsSaidWithWhatToDo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	wantOpenError(t, configIn(file), syscall.ENOTDIR, file+" is a file; move it away, or name another folder")
	wantOpenError(t, configIn(filepath.Join(file, "data")), syscall.ENOTDIR, file+" is a file; move it away")
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(filepath.Join(t.TempDir(), "nowhere"), link))
	wantOpenError(t, configIn(link), fs.ErrExist, link+" is a link to nothing; make the folder that it points to")
}

func TestKillDuringCreationLeavesAFolderThatOpens(t *testing.T) {
	t.Parallel()
	t.Run("before the sentinel", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, dirDraft), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, dirDraft, "MANIFEST"), []byte("Bd"), 0o600))
		login(t, openIn(t, dir), "oABC", "s1")
	})
	t.Run("after the sentinel", func(t *testing.T) {
		t.Parallel()
		dir := usedStore(t)
		must(t, os.Rename(filepath.Join(dir, dirBadger), filepath.Join(dir, dirDraft)))
		if u := login(t, openIn(t, dir), "oABC", "s2"); u.ID != 1 {
			t.Errorf("id: got %d, want 1", u.ID)
		}
	})
}

func TestKillLeavesHalvesThatOpen(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{
		"00099.mem":        nil,
		"00098.mem":        make([]byte, 1000),
		"000099.vlog":      nil,
		"000098.sst":       bytes.Repeat([]byte("half"), 1000),
		"000097.sst":       nil,
		"MANIFEST-REWRITE": []byte("Bdgr"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := usedStore(t)
			must(t, os.WriteFile(filepath.Join(dir, dirBadger, name), content, 0o600))
			if u := login(t, openIn(t, dir), "oABC", "s2"); u.ID != 1 {
				t.Errorf("id: got %d, want 1", u.ID)
			}
		})
	}
}

func TestTableThatIsNotNamedButKnownElsewhereIsNoLoss(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	tables, err := filepath.Glob(filepath.Join(dir, dirBadger, "*.sst"))
	must(t, err)
	content, err := os.ReadFile(tables[0])
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, dirBadger, "000500.sst"), content, 0o600))
	openIn(t, dir)
}

func TestCutManifestIsRefusedWithoutItsHighWaterToo(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	manifest := filepath.Join(dir, dirBadger, "MANIFEST")
	whole, err := os.ReadFile(manifest)
	must(t, err)
	s := openIn(t, dir) // one more table, which the cut MANIFEST will not name
	login(t, s, "oDEF", "s2")
	must(t, s.Close())
	must(t, os.WriteFile(manifest, whole, 0o600))
	must(t, os.Remove(filepath.Join(dir, fileHighWater)))
	wantOpenError(t, configIn(dir), storage.ErrDamaged, "MANIFEST is truncated: it does not name")
}
