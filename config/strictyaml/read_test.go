package strictyaml

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"wxgate/input"
)

func TestAConfigurationIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte("wechat: { appid: '${WX_APPID}' }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := exampleDefaults()
	if _, err := (Reader{Env: testEnv}).Read(path, config, config.validate); err != nil || config.WeChat.AppID != "wx123" {
		t.Errorf("got appid %q and error %v, want wx123", config.WeChat.AppID, err)
	}
}

func TestAMissingConfigurationIsNotAFaultOfIt(t *testing.T) {
	t.Parallel()
	_, err := Reader{Env: testEnv}.Read(filepath.Join(t.TempDir(), "gone.yaml"), exampleDefaults(), func() input.Faults { return nil })
	var faults Faults
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &faults) {
		t.Errorf("got %v, want an error that is fs.ErrNotExist and no Faults", err)
	}
}

func TestFaultsAreAnErrorOnlyWhenThereAreSome(t *testing.T) {
	t.Parallel()
	if err := (Faults{}).asError(); err != nil {
		t.Errorf("got %v, want no error without faults", err)
	}
	var faults Faults
	if err := (Faults{{File: "f"}}).asError(); !errors.As(err, &faults) || len(faults) != 1 {
		t.Errorf("got %v, want a Faults of one", err)
	}
}
