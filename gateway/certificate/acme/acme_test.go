package acme

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/certificate"
)

// lines is a log that is read while it is written.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestACacheThatIsOfNoUseIsNamed: without it no authority is asked, and the log says why.
func TestACacheThatIsOfNoUseIsNamed(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]string{"cannot be read": ".", "cannot be locked": "locks"} {
		cfg := certificate.DefaultACME()
		cfg.Domains, cfg.Cache = []string{"api.test"}, filepath.Join(t.TempDir(), "acme")
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(cfg.Cache, place)), 0o700), os.WriteFile(filepath.Join(cfg.Cache, place), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		log := make(lines, 16)
		m := New(cfg, Deps{Log: slog.New(slog.NewTextHandler(log, nil)), Expiry: func(string, time.Time) {}})
		m.Start(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
		for said := ""; !strings.Contains(said, "no certificate can be asked for"); said = <-log {
			if strings.Contains(said, "level=ERROR") {
				t.Errorf("a cache that %s: %s", name, said)
			}
		}
		m.Stop()
	}
}

// TestADomainThatIsNotServedYetHasNoExpiry: of a reload that was refused it stayed, with an alert on a certificate that nobody wanted.
func TestADomainThatIsNotServedYetHasNoExpiry(t *testing.T) {
	t.Parallel()
	cfg := certificate.DefaultACME()
	cfg.Domains, cfg.Cache = []string{"api.test"}, t.TempDir()
	var told []string
	m := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Expiry: func(domain string, _ time.Time) { told = append(told, domain) }})
	defer m.Stop()
	if told != nil {
		t.Errorf("before it is served, told of %v", told)
	}
	if m.Report(); len(told) != 1 {
		t.Errorf("when it is served, told of %v, want its domain", told)
	}
}

// TestWhatHindersIsToldOnce, however often it does.
func TestWhatHindersIsToldOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := &refusals{log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		r.notAsked("a.test", os.ErrPermission)
		r.notAsked("b.test", os.ErrClosed)
	}
	if n := strings.Count(log.String(), "no certificate can be asked for"); n != 2 {
		t.Errorf("got %d lines, want one for each reason:\n%s", n, &log)
	}
}
