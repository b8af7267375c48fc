package storage

import (
	"context"
	"errors"
	"sync"
)

// resealPage is how many secrets one transaction of a reseal looks at.
const resealPage = 200

// Resealed is how far a reseal has come.
type Resealed struct {
	Seen       int     `json:"seen"`       // secrets that were looked at
	Sealed     int     `json:"sealed"`     // of these, sealed anew with the first key
	Unreadable int     `json:"unreadable"` // of these, which no key opens; they stay as they are
	Share      float64 `json:"share"`      // of those that there were when it began
	Done       bool    `json:"done"`       // every secret was looked at
}

// resealing is a reseal that is under way.
type resealing struct {
	mu     sync.Mutex
	after  string // the secret that was looked at last
	passed int64  // secrets up to that one, also those of erased users
	all    int64  // when it began
	far    Resealed
}

// page seals the secrets of another page.
func (r *resealing) page(ctx context.Context, driver Driver) (Resealed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.after == "" {
		if err := r.begin(ctx, driver); err != nil {
			return r.far, err
		}
	}
	var names []string
	var page Resealed
	err := driver.Write(ctx, func(w Writer) (err error) {
		page = Resealed{}
		if err := wantOneSealingKey(w, gatewayName(driver.Epoch()), driver.Sealer().Checks()[0]); err != nil {
			return err
		}
		if names, err = w.Secrets(r.after, resealPage); err != nil {
			return err
		}
		for _, name := range names {
			if err := page.sealAnew(w, driver.Sealer(), name); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(names) < resealPage {
		page.Done = true
		err = driver.SealedAnew(ctx)
	}
	if err != nil {
		return r.far, err
	}
	r.passed += int64(len(names))
	far := Resealed{r.far.Seen + page.Seen, r.far.Sealed + page.Sealed, r.far.Unreadable + page.Unreadable, 1, page.Done}
	if page.Done {
		r.after, r.far = "", Resealed{}
		return far, nil
	}
	far.Share = min(1, float64(r.passed)/float64(max(r.all, 1)))
	r.after, r.far = names[len(names)-1], far
	return far, nil
}

// begin counts the secrets that there are.
func (r *resealing) begin(ctx context.Context, driver Driver) error {
	r.passed = 0
	return driver.Read(ctx, func(reader Reader) (err error) {
		r.all, err = reader.CountSecrets()
		return err
	})
}

// sealAnew seals a secret with the first key, if it is another that opens it.
func (page *Resealed) sealAnew(w Writer, sealer *Sealer, name string) error {
	sealed, err := w.Secret(name)
	if errors.Is(err, ErrNotFound) || err == nil && len(sealed) == 0 {
		return nil // of an erased user
	}
	if page.Seen++; err != nil {
		return err
	}
	plain, key, err := sealer.openWith(name, sealed)
	switch {
	case err != nil:
		page.Unreadable++
		return nil
	case key == 0:
		return nil
	}
	page.Sealed++
	return w.PutSecret(name, sealer.seal(name, plain))
}
