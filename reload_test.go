package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"wxgate/authn"
)

func TestOnlyTheReloadedKeysChange(t *testing.T) {
	t.Parallel()
	running, next := DefaultConfig(), DefaultConfig()
	next.Server.Listen, next.Server.AdminToken, next.Server.Timeouts.Idle = ":1", "x", time.Hour
	next.Server.Timeouts.Drain, next.WeChat.AppID, next.WeChat.CloudRun = time.Hour, "wx", true
	next.Authn.Issuer, next.Authn.Keys = "other", []authn.KeyConfig{{ID: "k"}}
	next.Storage.Badger.Dir, next.Log.Level, next.Identity.ForwardAuthorization = "elsewhere", "debug", false
	want := next
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
	walk(reflect.TypeFor[Config](), "")
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
	r := &reloader{file: filepath.Join(link, "gateway.yaml")}
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
