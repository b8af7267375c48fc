package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/backup"
)

// TestABackupOfARunningGatewayIsRestored is docs/backup.md with the real binary.
func TestABackupOfARunningGatewayIsRestored(t *testing.T) {
	t.Parallel()
	w := operator(t)
	alice := w.login("alice")
	file := filepath.Join(w.dir, "one.wxbackup")
	w.does([]string{"backup", file}, "has 1 user as of")
	if _, said, code := w.wxgate("", "backup", file); code == 0 || !strings.Contains(said, "exists already") {
		t.Errorf("a backup over another: exit code %d, got\n%s", code, said)
	}
	w.login("bob")
	said, code := "", 0
	if said, code = w.command("restore", file, "-c", w.config); code == 0 || !strings.Contains(said, "in use") {
		t.Errorf("a restore into a folder in use: exit code %d, got\n%s", code, said)
	}
	w.stop(t)
	if said, code = w.command("restore", file, "-c", w.config); code == 0 || !strings.Contains(said, "has users already") {
		t.Errorf("a restore into a folder with users: exit code %d, got\n%s", code, said)
	}

	data := filepath.Join(w.dir, "data")
	if err := os.Rename(data, data+".lost"); err != nil {
		t.Fatal(err)
	}
	if said, code = w.command("restore", file, "-c", w.config); code == 0 || !strings.Contains(said, "are sealed with the key whose check is") {
		t.Errorf("a restore without the key: exit code %d, got\n%s", code, said)
	}
	key, err := os.ReadFile(filepath.Join(data+".lost", "storage.key"))
	if err == nil {
		err = os.MkdirAll(data, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "storage.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(w.dir, "cut.wxbackup")
	if err := os.WriteFile(cut, whole[:len(whole)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code = w.command("restore", cut, "-c", w.config); code == 0 || !strings.Contains(said, "is damaged at byte") || strings.Contains(said, "storage") {
		t.Errorf("a restore of a file that was cut off: exit code %d, got\n%s", code, said)
	}
	if said, code = w.command("restore", file+".none", "-c", w.config); code == 0 || !strings.Contains(said, "one.wxbackup.none: no such file or directory") {
		t.Errorf("a restore of no file: exit code %d, got\n%s", code, said)
	}
	said, code = w.command("restore", file, "-c", w.config, "--next-user-id", "50", "--quiet")
	for _, want := range []string{"1 sessions have ended", "new users get ids above 49", "nobody is banned"} {
		if code != 0 || !strings.Contains(said, want) {
			t.Errorf("restore: exit code %d, got\n%s\nwant %q", code, said, want)
		}
	}
	w.serve()
	w.want("alice, who logged in before", w.call("GET", "/api/v1/user/profile", alice, ""), http.StatusUnauthorized, "token_revoked")
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after the restore, want 1", id)
	}
	if id := w.userID(w.login("bob")); id != 50 {
		t.Errorf("bob is user %d, want 50: the backup knows nothing of bob", id)
	}
}

// TestBackupsAreMadeWhileServing lets the schedule make one, which a doctor finds and a restore can read.
func TestBackupsAreMadeWhileServing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(w.dir, "backups")
	w.rewrite("storage: { ", "storage: { backup: { every: 24h, dir: "+dir+", keep: 2 }, ")
	w.serve()
	w.waitSays(".wxbackup", 1)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !strings.HasSuffix(entries[0].Name(), ".wxbackup") {
		t.Fatalf("got %v, %v, want one backup", entries, err)
	}
	if said, _ := w.command("doctor", "-c", w.config); !strings.Contains(said, entries[0].Name()+" is 0s old") {
		t.Errorf("the doctor says\n%s", said)
	}
	w.stop(t)
	w.serve() // none is due
	w.login("alice")
	w.stop(t)
	if entries, err = os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("after another start: got %v, %v, want the same backup", entries, err)
	}
}

// TestARestoreIntoADatabaseThatIsServedIsRefused has a gateway on an empty database, beside which a restore would be lost.
func TestARestoreIntoADatabaseThatIsServedIsRefused(t *testing.T) {
	t.Parallel()
	_, w, file := besideABackup(t)
	said, code := w.command("restore", file, "-c", w.config)
	if code == 0 || !strings.Contains(said, "a gateway is running on this store, on ") || !strings.Contains(said, "stop every gateway first; if that one was killed, wait ") {
		t.Errorf("beside a gateway: exit code %d, got\n%s", code, said)
	}
	w.stop(t)
	if said, code = w.command("restore", file, "-c", w.config); code != 0 {
		t.Fatalf("after it: exit code %d, got\n%s", code, said)
	}
	w.serve()
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after the restore, want 1", id)
	}
}

// TestABackupHasItsKeyOnlyWhenAsked compares every byte of what is stored with the key, and restores where there is no key.
func TestABackupHasItsKeyOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	w := operator(t)
	w.login("alice")
	data, plain, keyed := filepath.Join(w.dir, "data"), filepath.Join(w.dir, "plain.wxbackup"), filepath.Join(w.dir, "keyed.wxbackup")
	keyFile := filepath.Join(data, "storage.key")
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	w.does([]string{"backup", plain}, "is not in it: keep that (check ")
	for _, typed := range []string{"", "no\n", "y\n"} {
		if _, said, code := w.wxgate(typed, "backup", "--with-key", keyed); code != 1 || !strings.Contains(said, "type yes, or add --yes") {
			t.Errorf("typed %q: exit code %d, got\n%s", typed, code, said)
		}
	}
	if _, said, code := w.wxgate("yes\n", "backup", "--with-key", keyed); code != 0 {
		t.Fatalf("exit code %d, got\n%s", code, said)
	}
	w.does([]string{"backup", "--with-key", "--yes", keyed + ".2"}, "is in it: whoever has the file can read every phone number")
	for file, want := range map[string]bool{plain: false, keyed: true, keyed + ".2": true} {
		if has := hasKey(t, file, key); has != want {
			t.Errorf("%s has the key: %v, want %v", file, has, want)
		}
	}
	w.stop(t)

	if err := os.Rename(data, data+".lost"); err != nil {
		t.Fatal(err)
	}
	if said, code := w.command("restore", keyed, "-c", w.config); code != 0 || !strings.Contains(said, "The key of the backup is in "+keyFile+" now") {
		t.Fatalf("a restore without a key: exit code %d, got\n%s", code, said)
	}
	put, err := os.ReadFile(keyFile)
	info, statErr := os.Stat(keyFile)
	if err != nil || statErr != nil || string(put) != string(key) || info.Mode() != 0o600 {
		t.Errorf("the key file is not as it was: %v, %v, mode %v", err, statErr, info.Mode())
	}
	w.serve()
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after the restore, want 1", id)
	}
	w.stop(t)
	if strings.Contains(w.output.String(), strings.TrimSpace(string(key))) {
		t.Error("the log has the key")
	}

	w.restoresNot(keyed, key)
}

// restoresNot has a folder with another key, and one whose key is lost, into which a backup with its key is not restored.
func (w *world) restoresNot(keyed string, key []byte) {
	w.t.Helper()
	data := filepath.Join(w.dir, "data")
	keyFile := filepath.Join(data, "storage.key")
	if err := os.Remove(keyFile); err != nil {
		w.t.Fatal(err)
	}
	if said, code := w.command("restore", keyed, "-c", w.config); code == 0 || !strings.Contains(said, "STORE exists already") {
		w.t.Errorf("a restore into a store whose key is lost: exit code %d, got\n%s", code, said)
	}
	if _, err := os.Stat(keyFile); err == nil {
		w.t.Error("a store that was not restored got a key")
	}
	other := []byte("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=\n")
	err := os.RemoveAll(data)
	if err == nil {
		err = os.Mkdir(data, 0o700)
	}
	if err == nil {
		err = os.WriteFile(keyFile, other, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	said, code := w.command("restore", keyed, "-c", w.config)
	if code == 0 || !strings.Contains(said, "is in the backup, and is used where there is no other") || strings.Contains(said, strings.TrimSpace(string(key))) {
		w.t.Errorf("a restore where there is another key: exit code %d, got\n%s", code, said)
	}
	if now, err := os.ReadFile(keyFile); err != nil || string(now) != string(other) {
		w.t.Errorf("the other key was touched: %v", err)
	}
	w.serve() // on a store with the other key
	w.login("bob")
	w.stop(w.t)
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		w.t.Fatal(err)
	}
	said, code = w.command("restore", keyed, "-c", w.config)
	if code == 0 || !strings.Contains(said, "it has data already, which do not open; move them away") || strings.Contains(said, "intact") {
		w.t.Errorf("a restore into a store with another key: exit code %d, got\n%s", code, said)
	}
}

// hasKey reports whether a backup, or what is compressed in it, has the key of a key file in any form.
func hasKey(t *testing.T, path string, keyFile []byte) bool {
	t.Helper()
	key, err := storage.DecodeKey(secret.Text(keyFile))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Clone(text)
	if _, err = backup.Read(bytes.NewReader(text), func(r storage.Record) error {
		all = append(append(all, r.Name...), r.Data...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc([]string{
		string(key), hex.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
	}, func(form string) bool { return bytes.Contains(all, []byte(form)) })
}

// TestABackupWithoutASecretNeedsNoKey is one of imported users, of whom none has logged in.
func TestABackupWithoutASecretNeedsNoKey(t *testing.T) {
	t.Parallel()
	w := operator(t)
	w.importUser(7, "oSeven")
	file := filepath.Join(w.dir, "one.wxbackup")
	w.does([]string{"backup", file}, "has 1 user as of", "No secret is in it.")
	w.does([]string{"backup", "--with-key", "--yes", file + ".2"}, "No secret is in it.")
	w.stop(t)
	w.rewrite(filepath.Join(w.dir, "data"), filepath.Join(w.dir, "restored"))
	if said, code := w.command("restore", file, "-c", w.config); code != 0 {
		t.Fatalf("restore: exit code %d, got\n%s", code, said)
	}
	w.serve()
	if id := w.userID(w.login("alice")); id != 8 {
		t.Errorf("alice is user %d, want 8", id)
	}
}
