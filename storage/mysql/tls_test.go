package mysql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage/mysql/mysqltest"
)

// authority signs certificates of servers.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the authority of the tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil { // the server is another user
		t.Fatal(err)
	}
}

// certify writes a certificate for a name or an address, and its key, into the folder.
func (a *authority) certify(t *testing.T, dir, name string, until time.Time) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", text)
}

// tcpTo listens on TCP for a server that has a socket.
func tcpTo(t *testing.T, socket string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); group.Wait() })
	group.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("unix", socket)
			if err != nil {
				_ = client.Close()
				continue
			}
			group.Go(func() { _, _ = io.Copy(back, client); _ = back.Close() })
			group.Go(func() { _, _ = io.Copy(client, back); _ = client.Close() })
		}
	})
	return ln.Addr().String()
}

// TestTLSToTheServer: who is not the server is refused at once, in words, and nothing is sent unencrypted instead.
func TestTLSToTheServer(t *testing.T) {
	t.Parallel()
	ours, theirs, dir := newAuthority(t), newAuthority(t), t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the server is another user
		t.Fatal(err)
	}
	valid := time.Now().Add(time.Hour)
	ours.certify(t, dir, "127.0.0.1", valid)
	secure, err := mysqltest.Start("--ssl-cert="+filepath.Join(dir, "cert.pem"), "--ssl-key="+filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := secure.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := secure.DB.ExecContext(t.Context(), "CREATE DATABASE db1"); err != nil {
		t.Fatal(err)
	}
	encrypted, plain := "root@tcp("+tcpTo(t, secure.Socket)+")/db1", "root@tcp("+tcpTo(t, server.Socket)+")/none"
	for _, each := range []struct {
		name, dsn, ca string
		authority     *authority // of the server
		of            string     // its certificate
		until         time.Time
		want          string
	}{
		{"our authority", encrypted, ours.file, ours, "127.0.0.1", valid, ""},
		{"our authority, and tls=true", encrypted + "?tls=true", ours.file, ours, "127.0.0.1", valid, ""},
		{"skip-verify", encrypted + "?tls=skip-verify", "", ours, "127.0.0.1", valid, ""},
		{"another authority", encrypted, theirs.file, ours, "127.0.0.1", valid, "certificate signed by unknown authority"},
		{"skip-verify does not undo ca", encrypted + "?tls=skip-verify", theirs.file, ours, "127.0.0.1", valid, "certificate signed by unknown authority"},
		{"none that the system knows", encrypted + "?tls=true", "", ours, "127.0.0.1", valid, "certificate signed by unknown authority"},
		{"another host", encrypted, ours.file, ours, "db.example", valid, "127.0.0.1"},
		{"over", encrypted, ours.file, ours, "127.0.0.1", time.Now().Add(-time.Minute), "expired"},
		{"a server without TLS", plain, ours.file, ours, "127.0.0.1", valid, "server does not support TLS"},
		{"preferred does not undo ca", plain + "?tls=preferred", ours.file, ours, "127.0.0.1", valid, "server does not support TLS"},
		{"no file", encrypted, ours.file + "x", ours, "127.0.0.1", valid, "no such file"},
		{"a file without a certificate", encrypted, filepath.Join(dir, "key.pem"), ours, "127.0.0.1", valid, "has no certificate"},
	} {
		each.authority.certify(t, dir, each.of, each.until)
		if _, err := secure.DB.ExecContext(t.Context(), "FLUSH SSL"); err != nil {
			t.Fatal(err)
		}
		cfg := configOf(each.dsn)
		cfg.MySQL.CA = each.ca
		start := time.Now()
		s, err := Open(t.Context(), cfg, prometheus.NewRegistry(), quiet(), time.Now)
		if took := time.Since(start); took > startPatience/2 {
			t.Errorf("%s: it took %v", each.name, took)
		}
		if each.want != "" {
			if err == nil || !strings.Contains(err.Error(), each.want) {
				t.Errorf("%s: got %v, want %q", each.name, err, each.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", each.name, err)
			continue
		}
		if found, err := Inspect(t.Context(), cfg, nil); err != nil || !found.TLS {
			t.Errorf("%s: the connection is encrypted: %t, %v", each.name, found.TLS, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
