package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"wxgate/storage"
)

// exportPage is how many users are read at once.
const exportPage = 500

// exportUsers answers GET /api/users/export: every user as one line of JSON, by ID, in the format of an import. An
// answer that ends properly is complete: after an error the connection is aborted.
func (a transfer) exportUsers(w http.ResponseWriter, r *http.Request) {
	page, err := a.authn.Users.List(r.Context(), 0, exportPage)
	if err != nil {
		a.fail(w, err)
		return
	}
	event(a.log, r, "admin export")
	w.Header().Set("Content-Type", ndjson)
	w.Header().Set("Cache-Control", "no-store")
	for len(page) > 0 {
		if err := writeExportPage(w, page); err != nil {
			return // the reader has left
		}
		page, err = a.authn.Users.List(r.Context(), page[len(page)-1].ID, exportPage)
		if err != nil {
			a.log.Error("export broke off", "error", err)
			panic(http.ErrAbortHandler) // the documented way to abort the connection
		}
	}
}

// writeExportPage writes one page, and extends the write deadline for it.
func writeExportPage(w http.ResponseWriter, page []storage.User) error {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, u := range page {
		if err := enc.Encode(u); err != nil {
			return err
		}
	}
	return nil
}
