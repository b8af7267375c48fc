package process

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/certificate"
	"wxgate/gateway/certificate/certificatetest"
)

// TestACertificateThatHasExpiredHidesNoneThatWillNotDo exchanges one of two certificates, beside one that had expired when they
// were first served.
func TestACertificateThatHasExpiredHidesNoneThatWillNotDo(t *testing.T) {
	t.Parallel()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pair := func(name string) certificate.Pair {
		return certificate.Pair{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
	}
	cfg := certificate.Config{Pairs: []certificate.Pair{pair("good"), pair("expired")}}
	issue := func(name string, leaf certificatetest.Leaf) {
		leaf.Names = []string{name + ".test"}
		if err := authority.IssueTo(pair(name).Cert, pair(name).Key, leaf); err != nil {
			t.Fatal(err)
		}
	}
	issue("good", certificatetest.Leaf{})
	issue("expired", certificatetest.Leaf{Life: time.Minute})
	running, err := loadCertificates("server.tls", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	issue("expired", certificatetest.Leaf{Life: 2 * time.Minute})
	if _, err := loadCertificates("server.tls", cfg, running); err != nil {
		t.Errorf("one that was bad is bad again: got %v, want no error", err)
	}
	for want, leaf := range map[string]certificatetest.Leaf{"has expired": {Life: time.Minute}, "lacks its intermediate": {Deep: true, LeafOnly: true}} {
		issue("good", leaf)
		want = pair("good").Cert + " " + want + ", and the one that is served is good"
		if _, err := loadCertificates("server.tls", cfg, running); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
