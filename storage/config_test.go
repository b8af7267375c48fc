package storage_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/secret"
	"wxgate/storage"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if faults := storage.DefaultConfig().Validate(); len(faults) != 0 {
		t.Errorf("faults of the default: got %v, want none", faults)
	}
}

func TestValidateReportsEveryFaultAtOnce(t *testing.T) {
	c := storage.Config{Driver: "badger", Replicas: 1, Backup: storage.DefaultConfig().Backup, EncryptionKeys: storage.EncryptionKeys{"aGVsbG8="}}
	want := "storage.encryption_key: want 32 bytes in base64, got 5: openssl rand -base64 32 makes one\nstorage.badger.dir: want a folder, got none"
	if got := c.Validate().At("storage").Err().Error(); got != want {
		t.Errorf("faults: got\n%s\nwant\n%s", got, want)
	}
	c = storage.DefaultConfig()
	c.Driver = "redis"
	if got := c.Validate().Err().Error(); got != `driver: "redis" is not one of badger, mysql` {
		t.Errorf("faults: got %s", got)
	}
}

func TestMySQLNeedsAKeyThatAllGatewaysHave(t *testing.T) {
	c := storage.DefaultConfig()
	c.Driver, c.MySQL.Connections, c.MySQL.MaxStaleness = storage.DriverMySQL, 0, 0
	want := "encryption_key: want a key, the same for every gateway: openssl rand -base64 32\n" +
		"mysql.connections: want 1 to 1000, got 0\nmysql.max_staleness: want 1s to 1h, got 0s"
	if got := c.Validate().Err().Error(); got != want {
		t.Errorf("faults: got\n%s\nwant\n%s", got, want)
	}
}

// TestABlankEncryptionKeyIsNone: a variable that was left empty, or has a line end alone, means the key file.
func TestABlankEncryptionKeyIsNone(t *testing.T) {
	for _, blank := range []secret.Text{"", " ", "\n"} {
		c := storage.DefaultConfig()
		c.EncryptionKeys = storage.EncryptionKeys{blank}
		if err := c.Validate().Err(); err != nil {
			t.Errorf("key %q: got %v, want none", blank.Reveal(), err)
		}
	}
}

func TestEachEncryptionKeyIsJudged(t *testing.T) {
	const a, b = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	c := storage.DefaultConfig()
	c.EncryptionKeys = storage.EncryptionKeys{a, "aGVsbG8=", b, a + "\n", ""}
	want := "encryption_key[1]: want 32 bytes in base64, got 5: openssl rand -base64 32 makes one\nencryption_key[3]: the same key as the 1. of the list"
	if got := c.Validate().Err().Error(); got != want {
		t.Errorf("faults: got\n%s\nwant\n%s", got, want)
	}
	c.EncryptionKeys = slices.Repeat(storage.EncryptionKeys{""}, 9)
	if got := c.Validate().Err().Error(); got != "encryption_key: 9 keys, want 8 at most" {
		t.Errorf("faults: got %s", got)
	}
}

func TestEncryptionKeyInEveryBase64(t *testing.T) {
	for _, text := range []string{
		"+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=",
		"-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8",
		" +/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8\n",
	} {
		if got, err := storage.DecodeKey(secret.Text(text)); err != nil || len(got) != storage.EncryptionKeySize || got[0] != 0xfb {
			t.Errorf("key %q: got %x, %v", text, got, err)
		}
	}
}

func TestEncryptionKeyPrintsAsStarsEverywhere(t *testing.T) {
	const key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
	c := storage.Config{EncryptionKeys: storage.EncryptionKeys{key}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "key", c.EncryptionKeys)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(text), c.EncryptionKeys[0].String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		printed = append(printed, fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, c.EncryptionKeys))
	}
	for _, text := range printed {
		if strings.Contains(text, "c2Vjc") || strings.Contains(text, "63325") {
			t.Errorf("got the key in %s", text)
		}
	}
	if !strings.Contains(string(text), "***") {
		t.Errorf("as JSON: got %s, want ***", text)
	}
	if _, err := storage.DecodeKey(key + "x"); strings.Contains(fmt.Sprint(err), "c2V") {
		t.Errorf("got the key in the error %v", err)
	}
}

// TestBackupsAreNotBesideTheirKey: the folder of the data has it.
func TestBackupsAreNotBesideTheirKey(t *testing.T) {
	for dir, within := range map[string]bool{"./data": true, "data/backups": true, "./data/../data/x": true, "./data2": false, "../data": false, "/backup": false, "./backups": false} {
		c := storage.DefaultConfig()
		c.Backup.Every, c.Backup.Dir = time.Hour, dir
		err := c.Validate().Err()
		if within != (err != nil && strings.Contains(err.Error(), "backup.dir: is in storage.badger.dir, beside the data and their key")) {
			t.Errorf("%s: got %v", dir, err)
		}
		if c.Backup.Every = 0; c.Validate().Err() != nil {
			t.Errorf("%s, without backups: got %v", dir, c.Validate())
		}
	}
}

func TestAFolderForBackupsThatNobodyMakesIsWarnedAbout(t *testing.T) {
	c := storage.DefaultConfig()
	if warnings := c.Warnings(); len(warnings) != 0 {
		t.Errorf("the default: got %v", warnings)
	}
	if c.Backup.Dir = "/backup"; c.Warnings().Err() == nil || !strings.Contains(c.Warnings().Err().Error(), "no backup is made without backup.every") {
		t.Errorf("a folder alone: got %v", c.Warnings())
	}
	if c.Backup.Every = time.Hour; len(c.Warnings()) != 0 {
		t.Errorf("both: got %v", c.Warnings())
	}
}
