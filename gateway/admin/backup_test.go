package admin

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"wxgate/storage"
)

// slow is a store whose snapshots last.
type slow struct {
	ready

	begun, end chan struct{}
}

func (s slow) Snapshot(context.Context, func(storage.Record) error) error {
	s.begun <- struct{}{}
	<-s.end
	return nil
}

func TestASecondBackupIsToldOfTheFirst(t *testing.T) {
	t.Parallel()
	s, address := socket(t, 10)
	store := slow{begun: make(chan struct{}), end: make(chan struct{})}
	s.deps.Store = store
	url := "http://" + address + "/api/store/backup"
	first := make(chan error, 1)
	go func() {
		resp, err := probing().Get(url)
		if err == nil {
			err = resp.Body.Close()
		}
		first <- err
	}()
	<-store.begun
	resp, err := probing().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusConflict || !strings.Contains(string(text), "another backup is being taken") {
		t.Errorf("got %s %s, %v, want 409 that says why", resp.Status, text, err)
	}
	close(store.end)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
