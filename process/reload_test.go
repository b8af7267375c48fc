package process

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn"
	"wxgate/config"
)

func TestOnlyTheReloadedKeysChange(t *testing.T) {
	t.Parallel()
	running, next := config.DefaultConfig(), config.DefaultConfig()
	next.Server.Listen, next.Server.AdminToken, next.Server.Timeouts.Idle = ":1", "x", time.Hour
	next.Server.Timeouts.Drain, next.WeChat.AppID, next.WeChat.CloudRun = time.Hour, "wx", true
	next.Authn.Issuer, next.Authn.Keys = "other", []authn.KeyConfig{{ID: "k"}}
	next.Storage.Badger.Dir, next.Log.Level, next.Identity.ForwardAuthorization = "elsewhere", "debug", false
	want := next
	if got, keys := changedKeys(next, running), "server.admin_token server.timeouts.drain wechat.cloud_run authn.keys identity log"; got != keys {
		t.Errorf("changedKeys says %q, want %q", got, keys)
	}
	if got := changedKeys(running, running); got != "no key" {
		t.Errorf("changedKeys of nothing says %q", got)
	}
	kept := keepOthers(reflect.ValueOf(&next).Elem(), reflect.ValueOf(running), "")
	if names := []string{"server.listen", "server.timeouts.idle", "wechat.appid", "authn.issuer", "storage"}; !slices.Equal(kept, names) {
		t.Errorf("kept %q, want %q", kept, names)
	}
	want.Server.Listen, want.Server.Timeouts.Idle = running.Server.Listen, running.Server.Timeouts.Idle
	want.WeChat.AppID, want.Authn.Issuer, want.Storage = running.WeChat.AppID, running.Authn.Issuer, running.Storage
	if !reflect.DeepEqual(next, want) {
		t.Errorf("the configuration to apply is\n%+v, want\n%+v", next, want)
	}
}

// TestTheManualListsWhatAReloadTakesOver compares the table of docs/reload.md with reloaded.
func TestTheManualListsWhatAReloadTakesOver(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/reload.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	key := regexp.MustCompile("`([a-z_.]+)`")
	var takenOver []string
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		for _, m := range key.FindAllStringSubmatch(cells[1], -1) {
			takenOver = append(takenOver, m[1])
		}
		for _, m := range key.FindAllStringSubmatch(strings.ReplaceAll(cells[2], "rest of `", "rest of "), -1) {
			if isReloaded(m[1]) {
				t.Errorf("docs/reload.md says that %s needs a restart, and a reload takes it over", m[1])
			}
		}
	}
	want := slices.Sorted(slices.Values(reloaded()))
	if slices.Sort(takenOver); !slices.Equal(takenOver, want) {
		t.Errorf("docs/reload.md says that a reload takes over\n%q, want\n%q", takenOver, want)
	}
}

// TestTheReloadedKeysExist walks the paths down the sections: a key that was renamed would never be reloaded again.
func TestTheReloadedKeysExist(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	var walk func(section reflect.Type, path string)
	walk = func(section reflect.Type, path string) {
		for i := range section.NumField() {
			name := path + section.Field(i).Tag.Get("yaml")
			found[name] = true
			if section.Field(i).Type.Kind() == reflect.Struct {
				walk(section.Field(i).Type, name+".")
			}
		}
	}
	walk(reflect.TypeFor[config.Config](), "")
	for _, key := range reloaded() {
		if !found[key] {
			t.Errorf("no file can set %s", key)
		}
	}
}

func TestContentFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, version, "gateway.yaml"), []byte(version), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "..data")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	r := &Source{file: filepath.Join(link, "gateway.yaml")}
	one := r.content()
	if one != r.content() {
		t.Error("the same content is another one")
	}
	if err := os.Symlink("two", link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	if one == r.content() {
		t.Error("the link was exchanged, and the content is the same")
	}
}

// TestAChangeBetweenReadingAndServingIsNoticed has a file that changes while a process starts: a successor reads it and
// then waits for the store.
func TestAChangeBetweenReadingAndServingIsNoticed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	s := &Source{file: file, load: func() (config.Config, error) {
		write("two") // behind the back of whoever has read one
		return config.Config{}, nil
	}}
	if _, err := s.Read(); err != nil {
		t.Fatal(err)
	}
	if s.changed() || !s.changed() {
		t.Error("the change is not noticed at the second look")
	}
	s.load = func() (config.Config, error) { return config.Config{}, nil }
	if _, err := s.Read(); err != nil || s.changed() {
		t.Errorf("it was read again, %v, and has changed once more", err)
	}
}
