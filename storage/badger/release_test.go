package badger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
)

// TestAReleasedFolderServesAnotherStore releases the folder while logins and reads come: they wait, and go on where the other
// store has left off.
func TestAReleasedFolderServesAnotherStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	first, err := s.Login(t.Context(), loginAs("o0", "session0session0sess0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Release(t.Context()); err == nil {
		t.Error("a released folder was released again")
	}
	other, err := Open(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := other.Login(t.Context(), loginAs("o1", "session1session1sess1")); err != nil || second.User.ID != first.User.ID+1 {
		t.Errorf("the other store gives %d, %v", second.User.ID, err)
	}
	if err := s.Reacquire(t.Context()); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("got %v for a folder that the other store has", err)
	}
	written, read := make(chan error, 1), make(chan error, 1)
	go func() {
		third, err := s.Login(t.Context(), loginAs("o2", "session2session2sess2"))
		if err == nil && third.User.ID != first.User.ID+2 {
			err = fmt.Errorf("the third user has the id %d", third.User.ID)
		}
		written <- err
	}()
	go func() {
		_, err := s.User(t.Context(), first.User.ID+1)
		read <- err
	}()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if len(written) > 0 || len(read) > 0 {
		t.Error("a login or a read did not wait")
	}
	if err := s.Reacquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-written, <-read); err != nil {
		t.Errorf("what waited got %v", err)
	}
	if err := s.Reacquire(t.Context()); err == nil {
		t.Error("a folder that is not released came back")
	}
}

func TestClosingAReleasedStoreEndsWhatWaits(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	if err := s.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 2)
	go func() { _, err := s.User(t.Context(), 1); waited <- err }()
	go func() { _, err := s.Login(t.Context(), loginAs("o0", "session0session0sess0")); waited <- err }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-waited; !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if err := s.Release(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("releasing a closed store: %v", err)
	}
}

// TestAHandOverThatFailsAfterTheSuccessorWroteRevokesNobody releases the store to a process that changes a profile and ends. The
// lender's epoch was over then, and the next start refused every token that it issued after that.
func TestAHandOverThatFailsAfterTheSuccessorWroteRevokesNobody(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), time.Now()
	open := func() *Store {
		s, err := openFree(configIn(dir), prometheus.NewRegistry(), quiet(), func() time.Time { return at })
		must(t, err)
		return s
	}
	s := open()
	alice, err := s.Login(t.Context(), loginAs("o0", "session0session0sess0"))
	must(t, err)
	must(t, s.Release(t.Context()))
	successor := open()
	_, err = successor.UpdateUser(t.Context(), alice.User.ID, func(u *storage.User) error { u.Nickname = "n"; return nil })
	must(t, err)
	must(t, successor.Close())
	must(t, s.Reacquire(t.Context()))
	at = at.Add(time.Minute)
	epoch := s.Epoch()
	_, err = s.Login(t.Context(), loginAs("o1", "session1session1sess1"))
	must(t, err)
	must(t, s.Close())
	again := open()
	defer again.Close()
	if known, err := again.Issued(t.Context(), epoch, at); err != nil || !known {
		t.Errorf("a token that was issued after the hand-over had failed: known %v, %v", known, err)
	}
}
