package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnEncryptionKeyIsReplaced follows the manual: a key file first, then a key in gateway.yaml.
func TestAnEncryptionKeyIsReplaced(t *testing.T) {
	t.Parallel()
	const newKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	w := operator(t)
	for i := range 250 { // more than one page
		w.login(fmt.Sprint("person ", i))
	}
	w.stop(t)
	text, err := os.ReadFile(filepath.Join(w.dir, "data", "storage.key"))
	if err != nil {
		t.Fatal(err)
	}
	oldKey := strings.TrimSpace(string(text))
	w.rewrite("storage: { ", "storage: { encryption_key: ["+newKey+", "+oldKey+"], ")
	w.serve()
	w.waitSays("run `wxgate store reseal`", 1)
	w.does([]string{"store", "reseal"}, "250 secrets, 250 sealed anew: only the first key")
	alice := w.login("person 0")
	w.want("a session_key from before", w.call("POST", "/api/v1/auth/refresh", alice, ""), http.StatusOK, "")
	w.stop(t)
	w.rewrite("["+newKey+", "+oldKey+"]", newKey)
	w.serve()
	w.login("person 249")
	w.does([]string{"store", "reseal", "--json"}, `"seen":250,"sealed":0,"unreadable":0,"share":1,"done":true`)
	w.stop(t)
	w.rewrite(newKey, oldKey)
	if said, code := w.command("serve", "-c", w.config); code != 1 || !strings.Contains(said, "is not the one the data were sealed with") || strings.Contains(said, oldKey) {
		t.Errorf("with the old key: exit code %d, %s", code, said)
	}
}
