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

	"wxgate/authn/token"
	"wxgate/config"
	"wxgate/config/strictyaml"
	"wxgate/gateway/admin"
	"wxgate/gateway/certificate"
)

func TestOnlyTheReloadedKeysChange(t *testing.T) {
	t.Parallel()
	running, next := config.DefaultConfig(), config.DefaultConfig()
	next.Server.Listen, next.Server.AdminToken, next.Server.Timeouts.Idle = ":1", "x", time.Hour
	next.Server.Services = []admin.Service{{Name: "recipes"}}
	next.Server.Timeouts.Drain, next.WeChat.AppID, next.WeChat.CloudRun = time.Hour, "wx", true
	next.Authn.Issuer, next.Authn.Keys = "other", []token.KeyConfig{{ID: "k"}}
	next.Storage.Badger.Dir, next.Log.Level, next.Identity.ForwardAuthorization = "elsewhere", "debug", false
	want := next
	want.Server.Listen, want.Server.Timeouts.Idle = running.Server.Listen, running.Server.Timeouts.Idle
	want.WeChat.AppID, want.Authn.Issuer, want.Storage = running.WeChat.AppID, running.Authn.Issuer, running.Storage
	got := running.Reload(next)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the configuration to apply is\n%+v, want\n%+v", got, want)
	}
	changed := []string{"server.admin_token", "server.services", "server.timeouts.drain", "wechat.cloud_run", "authn.keys", "identity.forward_authorization", "log.level"}
	if names := strictyaml.Differ(running, got); !slices.Equal(names, changed) {
		t.Errorf("%q changed, want %q", names, changed)
	}
	kept := []string{"server.listen", "server.timeouts.idle", "wechat.appid", "authn.issuer", "storage.badger.dir"}
	if names := strictyaml.Differ(got, next); !slices.Equal(names, kept) {
		t.Errorf("%q need a restart, want %q", names, kept)
	}
	if names := strictyaml.Differ(running, running); names != nil {
		t.Errorf("nothing changed, and %q did", names)
	}
}

// TestTheManualSaysWhatAReloadTakesOver reads the columns of its table. "The rest of" a section stands for its other keys.
func TestTheManualSaysWhatAReloadTakesOver(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/reload.md")
	if err != nil {
		t.Fatal(err)
	}
	said := keys{}
	restart := keys{}
	for _, row := range regexp.MustCompile("(?m)^\\|([^|]*`[^|]*)\\|([^|]*)\\|$").FindAllStringSubmatch(string(manual), -1) {
		said, restart = said.with(row[1]), restart.with(row[2])
	}
	running := config.DefaultConfig()
	running.Server.AdminTLS = certificate.Pair{Cert: "cert", Key: "key"}
	running.Server.TLS.Cert, running.Server.TLS.Key = "cert", "key" // whether there is TLS needs a restart
	next := running
	changeEveryKey(reflect.ValueOf(&next).Elem())
	for _, key := range strictyaml.Differ(running, running.Reload(next)) {
		if !said.have(key) {
			t.Errorf("%s is taken over, and the table does not say so", key)
		}
	}
	for _, key := range strictyaml.Differ(running.Reload(next), next) {
		if said.have(key) || !restart.have(key) {
			t.Errorf("%s needs a restart, and the table does not say so", key)
		}
	}
}

// keys are names of keys, of which a section stands for all in it.
type keys []string

// with adds those in the cell of a table.
func (k keys) with(cell string) keys {
	for _, key := range regexp.MustCompile("`([a-z0-9_.]+)`").FindAllStringSubmatch(cell, -1) {
		k = append(k, key[1])
	}
	return k
}

func (k keys) have(key string) bool {
	return slices.ContainsFunc(k, func(each string) bool { return key == each || strings.HasPrefix(key, each+".") })
}

// changeEveryKey gives every key of a section another value.
func changeEveryKey(section reflect.Value) {
	for i := range section.NumField() {
		field := section.Field(i)
		if !field.CanSet() {
			continue // it is what a text of its own says
		}
		switch field.Kind() {
		case reflect.Struct:
			changeEveryKey(field)
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Bool:
			field.SetBool(!field.Bool())
		case reflect.Int, reflect.Int64:
			field.SetInt(field.Int() + 1)
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		case reflect.Map:
			field.Set(reflect.MakeMap(field.Type()))
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
	r := &Watcher{file: filepath.Join(link, "gateway.yaml")}
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
	s := &Watcher{file: file, load: func() (config.Config, error) {
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
