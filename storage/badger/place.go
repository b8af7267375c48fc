package badger

import (
	"os"
	"strings"
	"time"
)

// filePlace is a file that names itself: what the file system calls it, which a copy of the folder cannot have.
const filePlace = "place"

// warnCopied says when the folder is a copy, which a backup that was put back is too. It only advises, so errors do not
// matter.
func (s *Store) warnCopied(latest time.Time) {
	path := s.path(filePlace)
	said, err := os.ReadFile(path)
	here, known := placeOf(path)
	switch {
	case err == nil && known && strings.TrimSpace(string(said)) == here:
		return
	case err == nil && known:
		s.log.Warn("THE DATA FOLDER IS A COPY: tokens that the original has issued since are refused. If it is a backup that "+
			"was put back, stop and run `wxgate restore`: it does not know the logouts, bans and erasures since",
			"dir", s.dir, "last_write", stamp(latest))
	}
	notePlace(path)
}

// notePlace lets the file name itself.
func notePlace(path string) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return
	}
	if here, known := placeOf(path); known {
		_ = os.WriteFile(path, []byte(here+"\n"), 0o600)
	}
}
